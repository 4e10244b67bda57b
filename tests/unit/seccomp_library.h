#pragma once
// A profile compiled by libseccomp, and the prefix that runc puts in front for calls newer than the
// profile: the oracle of our own compiler.

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "runtime/plan/seccomp_abi.h"
#include "runtime/plan/seccomp_bpf.h"
#include "runtime/plan/seccomp_calls.h"
#include "runtime/plan/seccomp_profile.h"
#include "runtime/sys/fd.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::tests {

using plan::seccomp::Assembler;
using plan::seccomp::Condition;
using plan::seccomp::kArch;
using plan::seccomp::kEqual;
using plan::seccomp::kGreater;
using plan::seccomp::kGreaterEqual;
using plan::seccomp::kNumber;
using plan::seccomp::kX32Bit;
using plan::seccomp::Label;
using plan::seccomp::Operator;
using plan::seccomp::Profile;
using plan::seccomp::Rule;
using spec::cat;
using spec::Error;

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

inline void check(int result, const char* what) {
  if (result < 0) throw Error(cat("linux.seccomp: libseccomp: ", what), -result);
}

inline scmp_compare compare(Operator op) {
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

inline Context new_context(const Profile& profile, bool binary_tree) {
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

inline void add_rule(scmp_filter_ctx context, const Profile& profile, const Rule& rule) {
  const plan::seccomp::SystemCall& call = *profile.known[rule.call];
  int number = seccomp_syscall_resolve_name(call.name.data());
  std::vector<scmp_arg_cmp> args;
  for (const Condition& c : rule.conditions) {
    args.push_back({c.index, compare(c.op), c.value, c.value_two});
  }
  int result = seccomp_rule_add_array(context, rule.action, number,
                                      static_cast<unsigned>(args.size()), args.data());
  if (result < 0) {
    throw Error(cat("linux.seccomp.syscalls[", rule.origin, "]: ", call.name,
                    ": libseccomp refuses the rule"),
                -result);
  }
}

inline std::vector<uint64_t> read_program(const sys::Fd& file) {
  off_t size = lseek(file.get(), 0, SEEK_END);
  std::vector<uint64_t> program(size > 0 ? static_cast<size_t>(size) / sizeof(uint64_t) : 0);
  ssize_t got = pread(file.get(), program.data(), program.size() * sizeof(uint64_t), 0);
  if (size <= 0 || got != size) throw Error("linux.seccomp: cannot read the compiled filter");
  return program;
}

// What seccomp_data.arch says: libseccomp has one token more than the kernel has codes.
inline uint32_t audit_arch(uint32_t arch) {
  return arch == SCMP_ARCH_X32 ? AUDIT_ARCH_X86_64 : arch;
}

inline std::vector<uint64_t> library_program(const Profile& profile, bool binary_tree) {
  Context context = new_context(profile, binary_tree);
  for (const Rule& rule : profile.rules) add_rule(context.get(), profile, rule);
  int made = memfd_create("seccomp", MFD_CLOEXEC);
  sys::Fd file(made < 0 ? -errno : made);
  if (!file) throw Error("memfd_create for the seccomp filter", file.error());
  check(seccomp_export_bpf(context.get(), file.get()), "export");
  return read_program(file);
}

// Linux: the calls that only arm has are far above all others.
inline constexpr uint32_t kArmPrivate = 0xf0000;

// The highest number among profile.known in this architecture; -1 if it has none of them.
inline int highest_known(const Profile& profile, uint32_t arch) {
  int highest = -1;
  for (const plan::seccomp::SystemCall* call : profile.known) {
    const auto* abi = plan::seccomp::abi_of(arch);
    if (!abi) return -1;
    const plan::seccomp::Entrance entrance = plan::seccomp::entrance_of(*call, *abi);
    for (int number : {entrance.number, entrance.multiplexer}) {
      if (number < static_cast<int>(kArmPrivate) || arch != SCMP_ARCH_ARM) {
        highest = std::max(highest, number);
      }
    }
  }
  return highest;
}

inline void add_enosys(const Profile& profile, std::vector<uint64_t>& program) {
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
    Label above = enosys;
    if (arch == SCMP_ARCH_ARM) above = a.jump(kGreaterEqual, kArmPrivate, filter, enosys);
    a.jump(kGreater, static_cast<uint32_t>(highest), above, filter);
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

inline std::vector<uint64_t> by_library(const Profile& profile, bool binary_tree) {
  std::vector<uint64_t> program = library_program(profile, binary_tree);
  if (plan::seccomp::wants_enosys(profile)) add_enosys(profile, program);
  return program;
}

}  // namespace coracle::tests
