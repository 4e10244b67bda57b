#include <doctest/doctest.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/plan/seccomp.h"
#include "runtime/plan/seccomp_profile.h"
#include "spec/error.h"
#include "tests/unit/bpf_interpreter.h"
#include "tests/unit/seccomp_library.h"

using namespace coracle;
using namespace coracle::plan::seccomp;
using tests::check_filter;
using tests::run_filter;

namespace {

constexpr uint32_t kErrno = SECCOMP_RET_ERRNO;

spec::LinuxSeccomp deny_profile() {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  return s;
}

spec::LinuxSyscall rule(spec::Strings names, std::string_view action = "SCMP_ACT_ALLOW",
                        std::vector<spec::LinuxSeccompArg> args = {}) {
  spec::LinuxSyscall r;
  r.names = std::move(names);
  r.action = action;
  r.args = std::move(args);
  return r;
}

spec::LinuxSeccompArg arg(uint32_t index, std::string_view op, uint64_t value, uint64_t two = 0) {
  spec::LinuxSeccompArg a;
  a.index = index;
  a.op = op;
  a.value = value;
  a.valueTwo = two;
  return a;
}

// By both ways: the one that compile() takes, and libseccomp's. verdict() compares them.
struct Made : Program {
  std::vector<uint64_t> by_library;
};

Made make(const spec::LinuxSeccomp& s) {
  plan::Warnings warnings;
  Made p{compile(s, warnings), {}};
  CHECK(check_filter(p.instructions) == "");
  Profile profile = resolve(s, warnings);
  p.by_library = tests::by_library(profile, true);
  CHECK(check_filter(p.by_library) == "");
  return p;
}

uint32_t verdict(const Made& p, int nr, std::vector<uint64_t> args = {},
                 uint32_t arch = AUDIT_ARCH_X86_64) {
  seccomp_data data = {};
  data.nr = nr;
  data.arch = arch;
  for (size_t i = 0; i < args.size(); ++i) data.args[i] = args[i];
  uint32_t result = run_filter(p.instructions, data);
  CHECK(run_filter(p.by_library, data) == result);
  return result;
}

std::string refusal(const spec::LinuxSeccomp& s) {
  plan::Warnings warnings;
  try {
    compile(s, warnings);
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
}

int number(const char* name) { return seccomp_syscall_resolve_name(name); }

// The exit status, or 1000 + the signal, of a child that loads the filter and makes one call that
// takes no arguments; the errno of that call is its exit status.
int call_under_filter(const Program& p, long nr) {
  pid_t child = fork();
  if (child == 0) {
    sock_fprog prog = {
        static_cast<unsigned short>(p.instructions.size()),
        reinterpret_cast<sock_filter*>(const_cast<uint64_t*>(p.instructions.data()))};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(250);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p.flags, &prog) != 0) _exit(251);
    long result = syscall(nr, 0, 0, 0);
    syscall(SYS_exit_group, result < 0 ? errno : 0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("each action becomes its verdict") {
  struct Row {
    const char* name;
    uint32_t value;
  };
  const Row rows[] = {{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
                      {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
                      {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
                      {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
                      {"SCMP_ACT_ERRNO", kErrno | EPERM},
                      {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE | EPERM},
                      {"SCMP_ACT_LOG", SECCOMP_RET_LOG},
                      {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    spec::LinuxSeccomp s;
    bool allow = row.value == SECCOMP_RET_ALLOW;
    s.defaultAction = allow ? "SCMP_ACT_LOG" : "SCMP_ACT_ALLOW";
    s.syscalls = {rule({"getpid"}, row.name)};
    Made p = make(s);
    CHECK(verdict(p, SYS_getpid) == row.value);
    CHECK(verdict(p, SYS_getppid) == (allow ? SECCOMP_RET_LOG : SECCOMP_RET_ALLOW));
    CHECK_FALSE(p.notify);
    CHECK(p.flags == SECCOMP_FILTER_FLAG_SPEC_ALLOW);
  }
}

TEST_CASE("errno values: of a rule, of the default, and where none may be") {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ALLOW";
  s.syscalls = {rule({"getpid"}, "SCMP_ACT_ERRNO"), rule({"getppid"}, "SCMP_ACT_TRACE")};
  s.syscalls[0].errnoRet = 77;
  s.syscalls[1].errnoRet = 5000;
  Made p = make(s);
  CHECK(verdict(p, SYS_getpid) == (kErrno | 77));
  CHECK(verdict(p, SYS_getppid) == (SECCOMP_RET_TRACE | 5000));
  s.syscalls[0].errnoRet = 4096;
  CHECK(refusal(s) == "linux.seccomp.syscalls[0].errnoRet: 4096 is no errno");
  s.syscalls[0] = rule({"getpid"}, "SCMP_ACT_KILL");
  s.syscalls[0].errnoRet = 1;
  CHECK(refusal(s) == "linux.seccomp.syscalls[0].errnoRet: SCMP_ACT_KILL takes no errno");
  s.syscalls.clear();
  s.defaultErrnoRet = 1;
  CHECK(refusal(s) == "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW takes no errno");
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.defaultErrnoRet = 12;
  s.syscalls = {rule({"getpid"})};
  CHECK(verdict(make(s), SYS_read) == (kErrno | 12));
}

TEST_CASE("the operators, on both halves of 64 bits") {
  struct Row {
    const char* op;
    bool below, equal, above;
  };
  const Row rows[] = {{"SCMP_CMP_NE", true, false, true}, {"SCMP_CMP_LT", true, false, false},
                      {"SCMP_CMP_LE", true, true, false}, {"SCMP_CMP_EQ", false, true, false},
                      {"SCMP_CMP_GE", false, true, true}, {"SCMP_CMP_GT", false, false, true}};
  const uint64_t pivot = 0x0000000500000007;
  for (const Row& row : rows) {
    CAPTURE(row.op);
    spec::LinuxSeccomp s = deny_profile();
    s.syscalls = {rule({"ioctl"}, "SCMP_ACT_ALLOW", {arg(1, row.op, pivot)})};
    Made p = make(s);
    auto allowed = [&](uint64_t v) { return verdict(p, SYS_ioctl, {0, v}) == SECCOMP_RET_ALLOW; };
    CHECK(allowed(pivot - 1) == row.below);
    CHECK(allowed(0x00000004ffffffff) == row.below);
    CHECK(allowed(0xffffffff) == row.below);
    CHECK(allowed(pivot) == row.equal);
    CHECK(allowed(pivot + 1) == row.above);
    CHECK(allowed(0x0000000600000000) == row.above);
  }
  spec::LinuxSeccomp s = deny_profile();
  s.syscalls = {rule({"clone"}, "SCMP_ACT_ALLOW", {arg(0, "SCMP_CMP_MASKED_EQ", 0x7e020000, 0)})};
  Made p = make(s);
  CHECK(verdict(p, SYS_clone, {0x11}) == SECCOMP_RET_ALLOW);
  CHECK(verdict(p, SYS_clone, {0x10000011}) == (kErrno | EPERM));
}

TEST_CASE("several conditions: all must hold, unless they are on one argument") {
  spec::LinuxSeccomp s = deny_profile();
  s.syscalls = {
      rule({"fcntl"}, "SCMP_ACT_ALLOW", {arg(0, "SCMP_CMP_EQ", 1), arg(1, "SCMP_CMP_EQ", 2)}),
      rule({"ioctl"}, "SCMP_ACT_ALLOW",
           {arg(1, "SCMP_CMP_EQ", 1), arg(1, "SCMP_CMP_EQ", 2), arg(2, "SCMP_CMP_EQ", 9)})};
  Made p = make(s);
  CHECK(verdict(p, SYS_fcntl, {1, 2}) == SECCOMP_RET_ALLOW);
  CHECK(verdict(p, SYS_fcntl, {1, 3}) == (kErrno | EPERM));
  CHECK(verdict(p, SYS_fcntl, {0, 2}) == (kErrno | EPERM));
  CHECK(verdict(p, SYS_ioctl, {0, 1, 0}) == SECCOMP_RET_ALLOW);
  CHECK(verdict(p, SYS_ioctl, {0, 2, 0}) == SECCOMP_RET_ALLOW);
  CHECK(verdict(p, SYS_ioctl, {0, 3, 9}) == SECCOMP_RET_ALLOW);
  CHECK(verdict(p, SYS_ioctl, {0, 3, 8}) == (kErrno | EPERM));
}

TEST_CASE("architectures: their own numbers, and a stranger is killed") {
  spec::LinuxSeccomp s = deny_profile();
  s.syscalls = {rule({"getpid", "write", "socketcall"})};
  Made p = make(s);
  CHECK(verdict(p, SYS_getpid) == SECCOMP_RET_ALLOW);
  CHECK(verdict(p, 20) == (kErrno | EPERM));                         // writev here ...
  CHECK(verdict(p, 20, {}, AUDIT_ARCH_I386) == SECCOMP_RET_ALLOW);   // ... getpid there
  CHECK(verdict(p, 102, {}, AUDIT_ARCH_I386) == SECCOMP_RET_ALLOW);  // socketcall
  CHECK(verdict(p, SYS_getpid | 0x40000000) == SECCOMP_RET_ALLOW);   // x32
  CHECK(verdict(p, SYS_getpid, {}, AUDIT_ARCH_AARCH64) == SECCOMP_RET_KILL_THREAD);
  s.architectures.clear();
  p = make(s);
  CHECK(verdict(p, SYS_getpid) == SECCOMP_RET_ALLOW);
  CHECK(verdict(p, 20, {}, AUDIT_ARCH_I386) == SECCOMP_RET_KILL_THREAD);
  CHECK(verdict(p, SYS_getpid | 0x40000000) == SECCOMP_RET_KILL_THREAD);
}

TEST_CASE("all 23 architectures of the specification are taken, others refused") {
  for (const char* name :
       {"X86",         "X86_64",   "X32",     "ARM",       "AARCH64", "LOONGARCH64",
        "M68K",        "MIPS",     "MIPS64",  "MIPS64N32", "MIPSEL",  "MIPSEL64",
        "MIPSEL64N32", "PPC",      "PPC64",   "PPC64LE",   "S390",    "S390X",
        "PARISC",      "PARISC64", "RISCV64", "SH",        "SHEB"}) {
    CAPTURE(name);
    std::string full = std::string("SCMP_ARCH_") + name;
    spec::LinuxSeccomp s = deny_profile();
    s.architectures = {"SCMP_ARCH_X86_64", full};
    s.syscalls = {rule({"getpid"})};
    CHECK(verdict(make(s), SYS_getpid) == SECCOMP_RET_ALLOW);
  }
  for (const char* name : {"SCMP_ARCH_VAX", "x86", "SCMP_ARCH_", ""}) {
    spec::LinuxSeccomp s = deny_profile();
    s.architectures = {name};
    CHECK(refusal(s).find("linux.seccomp.architectures[0]: unknown architecture") == 0);
  }
}

TEST_CASE("calls above the highest known number get ENOSYS where the default denies") {
  spec::LinuxSeccomp s = deny_profile();
  s.syscalls = {rule({"getpid", "openat2", "no_such_call_at_all"}),
                rule({"faccessat2"}, "SCMP_ACT_ERRNO")};
  Made p = make(s);
  CHECK(p.unknown == std::vector<std::string>{"no_such_call_at_all"});
  int highest = number("faccessat2");
  CHECK(verdict(p, highest) == (kErrno | EPERM));
  CHECK(verdict(p, highest + 1) == (kErrno | ENOSYS));
  CHECK(verdict(p, 0x3fffffff) == (kErrno | ENOSYS));
  CHECK(verdict(p, (highest + 1) | 0x40000000) == (kErrno | ENOSYS));
  CHECK(verdict(p, highest | 0x40000000) == (kErrno | EPERM));
  CHECK(verdict(p, highest, {}, AUDIT_ARCH_I386) == (kErrno | EPERM));
  CHECK(verdict(p, highest + 1, {}, AUDIT_ARCH_I386) == (kErrno | ENOSYS));
  CHECK(verdict(p, highest + 1, {}, AUDIT_ARCH_AARCH64) == SECCOMP_RET_KILL_THREAD);
  for (const char* denying : {"SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"}) {
    s.defaultAction = denying;
    CHECK(verdict(make(s), highest + 1) == (kErrno | ENOSYS));
  }
  for (const char* allowing : {"SCMP_ACT_LOG", "SCMP_ACT_TRACE"}) {
    s.defaultAction = allowing;
    CHECK(verdict(make(s), highest + 1) == verdict(make(s), highest - 1));
  }
  s = deny_profile();
  s.architectures.clear();
  s.syscalls = {rule({"getpid"})};
  CHECK(verdict(make(s), SYS_getpid + 1) == (kErrno | ENOSYS));
  CHECK(verdict(make(s), SYS_getpid | 0x40000000) == SECCOMP_RET_KILL_THREAD);
}

TEST_CASE("a profile without rules, and one whose rules all repeat the default") {
  spec::LinuxSeccomp s = deny_profile();
  CHECK(verdict(make(s), SYS_getpid) == (kErrno | EPERM));
  s.syscalls = {rule({"getpid"}, "SCMP_ACT_ERRNO")};
  CHECK(verdict(make(s), SYS_getpid) == (kErrno | EPERM));
  CHECK(verdict(make(s), SYS_getpid + 1) == (kErrno | ENOSYS));
  s.syscalls[0].errnoRet = 2;  // ERRNO too, but another one
  CHECK(verdict(make(s), SYS_getpid) == (kErrno | 2));
  s.defaultAction = "SCMP_ACT_ALLOW";
  s.syscalls.clear();
  CHECK(verdict(make(s), SYS_getpid) == SECCOMP_RET_ALLOW);
}

TEST_CASE("flags") {
  spec::LinuxSeccomp s = deny_profile();
  s.syscalls = {rule({"getpid"})};
  s.flags.emplace();
  CHECK(make(s).flags == 0);
  s.flags = spec::Strings{"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                          "SECCOMP_FILTER_FLAG_SPEC_ALLOW"};
  CHECK(make(s).flags == 7);
  s.flags = spec::Strings{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
  plan::Warnings warnings;
  CHECK(compile(s, warnings).flags == 0);
  CHECK(warnings.size() == 1);
  s.flags = spec::Strings{"SECCOMP_FILTER_FLAG_NEW_LISTENER"};
  CHECK(refusal(s).find("linux.seccomp.flags[0]: unknown flag") == 0);
}

TEST_CASE("NOTIFY") {
  spec::LinuxSeccomp s = deny_profile();
  s.syscalls = {rule({"getpid"}, "SCMP_ACT_NOTIFY"), rule({"getppid"})};
  CHECK(refusal(s) == "linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs a listenerPath");
  s.listenerPath = "/run/agent.sock";
  s.flags = spec::Strings{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"};
  Made p = make(s);
  CHECK(p.notify);
  CHECK(p.flags == (1 | 16 | 32));
  CHECK(verdict(p, SYS_getpid) == SECCOMP_RET_USER_NOTIF);
  for (const char* name : {"write", "sendmsg"}) {
    s.syscalls[0].names = {name};
    CHECK(refusal(s) == std::string("linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY cannot be "
                                    "used for the ") +
                            name + " syscall");
  }
  s.syscalls[0].names = {"no_such_call_at_all"};
  s.flags.reset();
  CHECK_FALSE(make(s).notify);
  s.defaultAction = "SCMP_ACT_NOTIFY";
  CHECK(refusal(s) == "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default");
}

TEST_CASE("what is wrong is told with its path") {
  spec::LinuxSeccomp s = deny_profile();
  s.defaultAction = "ALLOW";
  CHECK(refusal(s) == "linux.seccomp.defaultAction: unknown action \"ALLOW\"");
  s = deny_profile();
  s.syscalls = {rule({"getpid"}), rule({})};
  CHECK(refusal(s) == "linux.seccomp.syscalls[1].names: is missing or empty");
  s.syscalls[1] = rule({"getpid"}, "");
  CHECK(refusal(s) == "linux.seccomp.syscalls[1].action: unknown action \"\"");
  s.syscalls[1] = rule({"ioctl"}, "SCMP_ACT_ALLOW", {arg(1, "SCMP_CMP_ALMOST", 1)});
  CHECK(refusal(s) == "linux.seccomp.syscalls[1].args[0].op: unknown operator \"SCMP_CMP_ALMOST\"");
  s.syscalls[1] = rule({"ioctl"}, "SCMP_ACT_ALLOW", {arg(6, "SCMP_CMP_EQ", 1)});
  CHECK(refusal(s) == "linux.seccomp.syscalls[1].args[0].index: is above 5");
}

TEST_CASE("the kernel takes the filter and obeys it") {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ALLOW";
  s.syscalls = {rule({"getppid"}, "SCMP_ACT_ERRNO"), rule({"getuid"}, "SCMP_ACT_KILL_PROCESS")};
  s.syscalls[0].errnoRet = 33;
  Made p = make(s);
  CHECK(call_under_filter(p, SYS_getppid) == 33);
  CHECK(call_under_filter(p, SYS_getpid) == 0);
  CHECK(call_under_filter(p, SYS_getuid) == 1000 + SIGSYS);
  s = deny_profile();
  s.syscalls = {rule({"exit_group"}), rule({"openat2"}, "SCMP_ACT_ERRNO")};
  p = make(s);
  CHECK(call_under_filter(p, SYS_getpid) == EPERM);
  CHECK(call_under_filter(p, 600) == ENOSYS);
  for (const std::vector<uint64_t>& program : {p.by_library, p.instructions}) {
    p.instructions = program;
    CHECK(call_under_filter(p, SYS_getpid) == EPERM);
  }
}
