#include "runtime/plan/seccomp_library.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "runtime/plan/seccomp_bpf.h"
#include "runtime/sys/fd.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan::seccomp {
namespace {

using spec::cat;
using spec::Error;

// i386 has these calls twice: behind socketcall(2) or ipc(2), and, since Linux 4.3 or 5.1, by
// themselves. libseccomp knows the former by negative numbers, the call's own in the last digits.
struct Direct {
  std::string_view name;
  int number;
};
constexpr Direct kDirect[] = {
    {"recvmmsg", 337},   {"sendmmsg", 345},   {"socket", 359},      {"socketpair", 360},
    {"bind", 361},       {"connect", 362},    {"listen", 363},      {"accept4", 364},
    {"getsockopt", 365}, {"setsockopt", 366}, {"getsockname", 367}, {"getpeername", 368},
    {"sendto", 369},     {"sendmsg", 370},    {"recvfrom", 371},    {"recvmsg", 372},
    {"shutdown", 373},   {"semget", 393},     {"semctl", 394},      {"shmget", 395},
    {"shmctl", 396},     {"shmat", 397},      {"shmdt", 398},       {"msgget", 399},
    {"msgsnd", 400},     {"msgrcv", 401},     {"msgctl", 402},
};
constexpr int kSocketcall = 102;
constexpr int kIpc = 117;

// System calls of Linux 6.5 to 6.19, which libseccomp 2.5 does not know; later ones do, and are
// asked first. Since Linux 5.1 a new call has one number on all architectures (but x32's bit).
constexpr Direct kNewer[] = {
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},      {"listns", 470},
};

int newer_number(std::string_view name, uint32_t arch) {
  for (const Direct& row : kNewer) {
    if (row.name == name) return row.number | (arch == SCMP_ARCH_X32 ? int{kX32Bit} : 0);
  }
  return -1;
}

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

void check(int result, const char* what) {
  if (result < 0) throw Error(cat("linux.seccomp: libseccomp: ", what), -result);
}

scmp_compare compare(Operator op) {
  switch (op) {
    case Operator::kNe:
      return SCMP_CMP_NE;
    case Operator::kLt:
      return SCMP_CMP_LT;
    case Operator::kLe:
      return SCMP_CMP_LE;
    case Operator::kEq:
      return SCMP_CMP_EQ;
    case Operator::kGe:
      return SCMP_CMP_GE;
    case Operator::kGt:
      return SCMP_CMP_GT;
    case Operator::kMaskedEq:
      return SCMP_CMP_MASKED_EQ;
  }
  return SCMP_CMP_EQ;
}

Context new_context(const Profile& profile, bool binary_tree) {
  // The highest level that 2.5 knows: without it libseccomp probes the kernel with nine calls. It
  // means Linux 5.7; ours is 5.14 at least.
  check(seccomp_api_set(6), "API level");
  Context context(seccomp_init(profile.default_action));
  if (!context) throw Error("linux.seccomp: libseccomp: cannot make a filter", ENOMEM);
  for (uint32_t arch : profile.arches) {
    int result = seccomp_arch_add(context.get(), arch);
    // Another byte order: no program of that kind runs on this machine, so nothing is lost.
    if (result == -EDOM || result == -EEXIST) continue;
    check(result, "architecture");
  }
  // libseccomp up to 2.5.4 goes astray with a tree of no rules.
  if (binary_tree && !profile.rules.empty()) {
    check(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimisation");
  }
  return context;
}

void add_rule(scmp_filter_ctx context, const Rule& rule) {
  std::vector<scmp_arg_cmp> args;
  for (const Condition& c : rule.conditions) {
    args.push_back({c.index, compare(c.op), c.value, c.value_two});
  }
  int result = seccomp_rule_add_array(context, rule.action, rule.number,
                                      static_cast<unsigned>(args.size()), args.data());
  if (result < 0) {
    throw Error(cat("linux.seccomp.syscalls[", rule.origin, "]: ", rule.name,
                    ": libseccomp refuses the rule"),
                -result);
  }
}

std::vector<uint64_t> read_program(const sys::Fd& file) {
  off_t size = lseek(file.get(), 0, SEEK_END);
  std::vector<uint64_t> program(size > 0 ? static_cast<size_t>(size) / sizeof(uint64_t) : 0);
  ssize_t got = pread(file.get(), program.data(), program.size() * sizeof(uint64_t), 0);
  if (size <= 0 || got != size) throw Error("linux.seccomp: cannot read the compiled filter");
  return program;
}

// What seccomp_data.arch says: libseccomp has one token more than the kernel has codes.
uint32_t audit_arch(uint32_t arch) { return arch == SCMP_ARCH_X32 ? AUDIT_ARCH_X86_64 : arch; }

}  // namespace

std::vector<uint64_t> library_program(const Profile& profile, bool binary_tree) {
  Context context = new_context(profile, binary_tree);
  for (const Rule& rule : profile.rules) add_rule(context.get(), rule);
  int made = memfd_create("seccomp", MFD_CLOEXEC);
  sys::Fd file(made < 0 ? -errno : made);
  if (!file) throw Error("memfd_create for the seccomp filter", file.error());
  check(seccomp_export_bpf(context.get(), file.get()), "export");
  return read_program(file);
}

bool is_newer(std::string_view name) { return newer_number(name, SCMP_ARCH_X86_64) >= 0; }

Entrance entrance_of(std::string_view name, uint32_t arch) {
  Entrance entrance;
  int number = seccomp_syscall_resolve_name_arch(arch, name.data());
  if (number == __NR_SCMP_ERROR) number = newer_number(name, arch);
  if (number >= 0) {
    entrance.number = number;
  } else if (arch == SCMP_ARCH_X86 && number <= -100 && number > -300) {
    bool ipc = number <= -200;
    entrance.multiplexer = ipc ? kIpc : kSocketcall;
    entrance.call = static_cast<uint32_t>(-number % (ipc ? 200 : 100));
    for (const Direct& row : kDirect) {
      if (row.name == name) entrance.number = row.number;
    }
  }
  return entrance;
}

int highest_known(const Profile& profile, uint32_t arch) {
  int highest = -1;
  for (std::string_view name : profile.known) {
    const Entrance entrance = entrance_of(name, arch);
    highest = std::max({highest, entrance.number, entrance.multiplexer});
  }
  return highest;
}

bool wants_enosys(const Profile& profile) {
  switch (profile.default_action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:
      return false;
    case SECCOMP_RET_ERRNO:
      return (profile.default_action & SECCOMP_RET_DATA) != ENOSYS;
    default:
      return true;
  }
}

void add_enosys(const Profile& profile, std::vector<uint64_t>& program) {
  Assembler a;
  // Written from the end: what comes out falls through into `program`.
  Label filter = a.here();
  Label enosys = a.ret(SECCOMP_RET_ERRNO | ENOSYS);
  int x32 = -1;
  int x86_64 = -1;
  Label next = filter;
  for (uint32_t arch : profile.arches) {
    int highest = highest_known(profile, arch);
    if (arch == SCMP_ARCH_X32) x32 = highest;
    if (arch == SCMP_ARCH_X86_64) x86_64 = highest;
    if (highest < 0 || arch == SCMP_ARCH_X32 || arch == SCMP_ARCH_X86_64) continue;
    a.jump(kGreater, static_cast<uint32_t>(highest), enosys, filter);
    Label body = a.load(kNumber);
    next = a.jump(kEqual, audit_arch(arch), body, next);
  }
  if (x86_64 >= 0 || x32 >= 0) {
    // x32 shares the architecture's code with x86_64 and sets bit 30 of the number.
    Label new_abi = x32 < 0 ? filter : a.jump(kGreater, static_cast<uint32_t>(x32), enosys, filter);
    Label old_abi =
        x86_64 < 0 ? filter : a.jump(kGreater, static_cast<uint32_t>(x86_64), enosys, filter);
    a.jump(kGreaterEqual, kX32Bit, new_abi, old_abi);
    Label body = a.load(kNumber);
    next = a.jump(kEqual, AUDIT_ARCH_X86_64, body, next);
  }
  if (next == filter) return;  // no number known on any architecture
  a.load(kArch);
  std::vector<uint64_t> prefix = a.take();
  program.insert(program.begin(), prefix.begin(), prefix.end());
}

}  // namespace coracle::plan::seccomp
