// The tree against the rules themselves: every number of every architecture, with the arguments
// that can make a difference. And libseccomp against the same.
#include <doctest/doctest.h>
#include <linux/audit.h>
#include <seccomp.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "runtime/plan/seccomp.h"
#include "runtime/plan/seccomp_library.h"
#include "runtime/plan/seccomp_profile.h"
#include "runtime/plan/seccomp_tree.h"
#include "spec/error.h"
#include "tests/unit/seccomp_reference.h"

using namespace coracle;
using namespace coracle::plan::seccomp;
using tests::all_names;
using tests::by_library;
using tests::differences;
using tests::kX32;

namespace {

struct Random {
  explicit Random(uint32_t seed) : generator(seed) {}
  size_t below(size_t n) { return generator() % n; }
  bool chance(size_t percent) { return below(100) < percent; }
  template <typename T>
  const T& of(const std::vector<T>& list) {
    return list[below(list.size())];
  }
  std::mt19937_64 generator;
};

const std::vector<std::string_view> kActions = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG",
                                                "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"};

spec::LinuxSeccompArg random_arg(Random& r) {
  static const std::vector<std::string_view> ops = {
      "SCMP_CMP_EQ", "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_MASKED_EQ",
      "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GE", "SCMP_CMP_GT"};
  static const std::vector<uint64_t> values = {0, 1, 2, 7, 8, 40, 0x20000, 0x7e020000, 0xffffffff};
  static const std::vector<uint64_t> wide = {0x100000000, 0x500000007, UINT64_MAX,
                                             0xffffffff00000000};
  spec::LinuxSeccompArg a;
  a.index = static_cast<uint32_t>(r.below(4));
  a.op = r.of(ops);
  a.value = r.chance(10) ? r.of(wide) : r.of(values);
  a.valueTwo = r.chance(50) ? 0 : r.of(values);
  return a;
}

// Conditions: one, or several on different arguments, or several on one.
void add_args(spec::LinuxSyscall& rule, Random& r) {
  size_t count = r.chance(70) ? 1 : 2 + r.below(2);
  for (size_t i = 0; i < count; ++i) rule.args.push_back(random_arg(r));
}

// `few`: many rules for a handful of calls, so that they meet.
spec::LinuxSeccomp random_profile(Random& r, bool few = false) {
  static const std::vector<std::string> kFew = {"ioctl",  "socket",  "bind",  "sendto",
                                                "shmget", "chown32", "fcntl", "socketcall"};
  spec::LinuxSeccomp s;
  s.defaultAction = r.of(kActions);
  if (r.chance(80)) s.architectures.push_back("SCMP_ARCH_X86_64");
  if (r.chance(60)) s.architectures.push_back("SCMP_ARCH_X86");
  if (r.chance(60)) s.architectures.push_back("SCMP_ARCH_X32");
  // One action for the rules with conditions in most profiles, so that many are plain.
  std::string_view main = r.of(kActions);
  size_t rules = 1 + r.below(12);
  for (size_t i = 0; i < rules; ++i) {
    spec::LinuxSyscall rule;
    rule.action = r.chance(85) ? main : r.of(kActions);
    if (rule.action == "SCMP_ACT_ERRNO" && r.chance(50)) {
      rule.errnoRet = static_cast<uint32_t>(r.below(50));
    }
    size_t names = few || r.chance(50) ? 1 + r.below(3) : 1 + r.below(120);
    for (size_t n = 0; n < names; ++n) rule.names.push_back(r.of(few ? kFew : all_names()));
    if (r.chance(few ? 90 : 40)) add_args(rule, r);
    s.syscalls.push_back(std::move(rule));
  }
  return s;
}

// As the engines' default: most calls allowed, a few by argument, the rest EPERM or ENOSYS.
spec::LinuxSeccomp engine_profile() {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  static const std::set<std::string> denied = {"acct",
                                               "add_key",
                                               "bpf",
                                               "clock_settime",
                                               "clone",
                                               "create_module",
                                               "delete_module",
                                               "finit_module",
                                               "fsopen",
                                               "get_kernel_syms",
                                               "get_mempolicy",
                                               "init_module",
                                               "ioperm",
                                               "iopl",
                                               "kcmp",
                                               "kexec_file_load",
                                               "kexec_load",
                                               "keyctl",
                                               "lookup_dcookie",
                                               "mbind",
                                               "mount",
                                               "move_pages",
                                               "nfsservctl",
                                               "open_by_handle_at",
                                               "perf_event_open",
                                               "personality",
                                               "pivot_root",
                                               "process_vm_readv",
                                               "ptrace",
                                               "query_module",
                                               "quotactl",
                                               "reboot",
                                               "request_key",
                                               "set_mempolicy",
                                               "setns",
                                               "settimeofday",
                                               "socket",
                                               "stime",
                                               "swapoff",
                                               "swapon",
                                               "sysfs",
                                               "_sysctl",
                                               "umount",
                                               "umount2",
                                               "unshare",
                                               "uselib",
                                               "userfaultfd",
                                               "ustat",
                                               "vm86",
                                               "vm86old",
                                               "no_such_call"};
  spec::LinuxSyscall allow;
  allow.action = "SCMP_ACT_ALLOW";
  for (const std::string& name : all_names()) {
    if (!denied.count(name)) allow.names.push_back(name);
  }
  s.syscalls.push_back(allow);
  auto conditional = [&s](std::string_view name, std::string_view op, uint64_t a, uint64_t b = 0) {
    spec::LinuxSyscall rule;
    rule.names = {name};
    rule.action = "SCMP_ACT_ALLOW";
    rule.args.resize(1);
    rule.args[0].op = op;
    rule.args[0].value = a;
    rule.args[0].valueTwo = b;
    s.syscalls.push_back(rule);
  };
  for (uint64_t v : {0x0ull, 0x8ull, 0x20000ull, 0x20008ull, 0xffffffffull}) {
    conditional("personality", "SCMP_CMP_EQ", v);
  }
  conditional("clone", "SCMP_CMP_MASKED_EQ", 2114060288);
  conditional("socket", "SCMP_CMP_NE", 40);
  s.syscalls.push_back(s.syscalls.back());
  s.syscalls.back().action = "SCMP_ACT_ERRNO";
  s.syscalls.back().errnoRet = 97;
  s.syscalls.back().args[0].op = "SCMP_CMP_EQ";
  return s;
}

Profile resolved(const spec::LinuxSeccomp& s) {
  plan::Warnings warnings;
  return resolve(s, warnings);
}

// Several rules for one call, of which one compares by order or has several conditions.
bool is_hard_for_libseccomp(const Profile& profile) {
  std::map<std::string_view, size_t> conditional;
  for (const Rule& rule : profile.rules) {
    // All of them are one call to i386.
    bool multiplexed = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, rule.name.data()) < -1;
    if (!rule.conditions.empty()) ++conditional[multiplexed ? "socketcall" : rule.name];
  }
  for (const Rule& rule : profile.rules) {
    bool multiplexed = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, rule.name.data()) < -1;
    if (conditional[multiplexed ? "socketcall" : rule.name] < 2) continue;
    if (rule.conditions.size() > 1) return true;
    for (const Condition& c : rule.conditions) {
      if (c.op != Operator::kEq && c.op != Operator::kNe && c.op != Operator::kMaskedEq)
        return true;
    }
  }
  return false;
}

uint64_t steps_of(const std::vector<uint64_t>& program) {
  uint64_t steps = 0;
  for (uint32_t arch : std::initializer_list<uint32_t>{AUDIT_ARCH_X86_64, AUDIT_ARCH_I386}) {
    for (int n = 0; n < 470; ++n) {
      seccomp_data data = {};
      data.arch = arch;
      data.nr = n;
      tests::run_filter(program, data, &steps);
    }
  }
  return steps;
}

}  // namespace

TEST_CASE(
    "an engine's profile: the tree, libseccomp's tree and libseccomp's list do what it says") {
  Profile profile = resolved(engine_profile());
  std::optional<std::vector<uint64_t>> tree = make_tree(profile);
  REQUIRE(tree);
  std::vector<uint64_t> binary = by_library(profile, true), list = by_library(profile, false);
  size_t cases = 0;
  CHECK(differences(profile, *tree, &cases) == 0);
  CHECK(differences(profile, binary, &cases) == 0);
  CHECK(differences(profile, list, &cases) == 0);
  CHECK(cases > 30000);
  // What the tree is for; see seccomp_tree.h.
  MESSAGE("instructions: list " << list.size() << ", libseccomp's tree " << binary.size()
                                << ", ours " << tree->size());
  MESSAGE("steps: list " << steps_of(list) << ", libseccomp's tree " << steps_of(binary)
                         << ", ours " << steps_of(*tree));
  CHECK(tree->size() * 2 < binary.size());
  CHECK(steps_of(*tree) * 2 < steps_of(binary));
}

TEST_CASE(
    "random profiles: the tree does what the rules say, and so does libseccomp where it can") {
  // More, for a change of the tree: CORACLE_SECCOMP_PROFILES=5000.
  const char* wish = getenv("CORACLE_SECCOMP_PROFILES");
  const uint32_t profiles = wish ? static_cast<uint32_t>(atoi(wish)) : 150;
  size_t plain = 0, cases = 0, refused = 0, compared = 0;
  for (uint32_t seed = 1; seed <= profiles; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Profile profile = resolved(random_profile(random, seed % 2 == 0));
    std::optional<std::vector<uint64_t>> tree = make_tree(profile);
    if (!tree) continue;
    ++plain;
    CHECK(differences(profile, *tree, &cases) == 0);
    if (is_hard_for_libseccomp(profile)) continue;
    std::vector<uint64_t> library;
    try {
      library = by_library(profile, true);
    } catch (const spec::Error&) {
      ++refused;  // libseccomp cannot say it
      continue;
    }
    CHECK(differences(profile, library, &cases) == 0);
    ++compared;
  }
  MESSAGE(plain << " of " << profiles << " profiles are plain, " << compared
                << " compared with libseccomp, which refused " << refused << "; " << cases
                << " cases");
  CHECK(plain > profiles / 5);
  CHECK(compared > profiles / 10);
}

TEST_CASE("rules that libseccomp 2.5.4 loses") {
  auto make = [](std::vector<spec::LinuxSeccompArg> args) {
    spec::LinuxSeccomp s;
    s.defaultAction = "SCMP_ACT_ALLOW";
    for (const spec::LinuxSeccompArg& a : args) {
      s.syscalls.push_back({});
      s.syscalls.back().names = {"ioctl"};
      s.syscalls.back().action = "SCMP_ACT_ERRNO";
      s.syscalls.back().args = {a};
    }
    return s;
  };
  auto denied = [](const spec::LinuxSeccomp& s, uint64_t a2, uint64_t a3) {
    plan::Warnings warnings;
    seccomp_data data = {};
    data.nr = 16;
    data.arch = AUDIT_ARCH_X86_64;
    data.args[2] = a2;
    data.args[3] = a3;
    return tests::run_filter(compile(s, warnings).instructions, data) != SECCOMP_RET_ALLOW;
  };
  spec::LinuxSeccomp order = make({{2, 0x7e020000, 0, "SCMP_CMP_LT"},
                                   {2, 0x20000, 0, "SCMP_CMP_LE"},
                                   {2, 0xffffffff00000000, 0, "SCMP_CMP_LE"}});
  CHECK(denied(order, 0xffffffff, 0));
  CHECK_FALSE(denied(order, 0xffffffff00000001, 0));
  spec::LinuxSeccomp mixed = make(
      {{3, 0x7e020000, 0, "SCMP_CMP_EQ"}, {2, 2, 0x28, "SCMP_CMP_EQ"}, {3, 7, 0, "SCMP_CMP_GE"}});
  CHECK(denied(mixed, 0, 0x7e020000));
  CHECK(denied(mixed, 0, 7));
  CHECK_FALSE(denied(mixed, 0, 6));
}

TEST_CASE("system calls newer than libseccomp") {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  s.syscalls.resize(1);
  s.syscalls[0].names = {"getpid", "statmount", "mseal"};
  s.syscalls[0].action = "SCMP_ACT_ALLOW";
  plan::Warnings warnings;
  auto verdict = [&](uint32_t arch, uint32_t number) {
    seccomp_data data = {};
    data.arch = arch;
    data.nr = static_cast<int>(number);
    return tests::run_filter(compile(s, warnings).instructions, data);
  };
  CHECK(compile(s, warnings).unknown.empty());
  for (uint32_t number : {457u, 462u, 457 | kX32, 462 | kX32}) {
    CHECK(verdict(AUDIT_ARCH_X86_64, number) == SECCOMP_RET_ALLOW);
  }
  CHECK(verdict(AUDIT_ARCH_I386, 457) == SECCOMP_RET_ALLOW);
  CHECK(verdict(AUDIT_ARCH_X86_64, 453) == (SECCOMP_RET_ERRNO | EPERM));
  CHECK(verdict(AUDIT_ARCH_X86_64, 463) == (SECCOMP_RET_ERRNO | ENOSYS));
  // A profile for libseccomp alone: there they stay unknown, and get ENOSYS.
  if (seccomp_syscall_resolve_name("mseal") != __NR_SCMP_ERROR) return;
  s.architectures.push_back("SCMP_ARCH_AARCH64");
  CHECK(compile(s, warnings).unknown == std::vector<std::string>{"statmount", "mseal"});
  CHECK(verdict(AUDIT_ARCH_X86_64, 462) == (SECCOMP_RET_ERRNO | ENOSYS));
  CHECK(verdict(AUDIT_ARCH_X86_64, 39) == SECCOMP_RET_ALLOW);
}

// Programs are kept on disk (runtime/store/seccomp_cache.h): whoever changes what is made of a
// profile must raise kGeneration, or the old ones stay in use. Then write the new pair here.
TEST_CASE("kGeneration belongs to what the compiler makes") {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  s.syscalls.resize(3);
  s.syscalls[0].names = {"read",  "write", "getpid", "exit", "exit_group", "openat2", "socket",
                         "mseal", "ioctl", "futex",  "mmap", "close",      "bind"};
  s.syscalls[0].action = "SCMP_ACT_ALLOW";
  s.syscalls[1].names = {"personality"};
  s.syscalls[1].action = "SCMP_ACT_ALLOW";
  s.syscalls[1].args = {{0, 0x20008, 0, "SCMP_CMP_EQ"}, {1, 0x7e020000, 1, "SCMP_CMP_MASKED_EQ"}};
  s.syscalls[2].names = {"ptrace"};
  s.syscalls[2].action = "SCMP_ACT_KILL_PROCESS";
  s.syscalls[2].args = {{2, 0x100000007, 0, "SCMP_CMP_GE"}};
  plan::Warnings warnings;
  uint64_t print = 0;
  for (uint64_t word : compile(s, warnings).instructions) print = print * 0x100000001b3 + word;
  CHECK(kGeneration == 1);
  CHECK(print == 13496069296311583882u);
}
