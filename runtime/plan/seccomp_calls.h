// What a profile says about each system call of one ABI, as libseccomp understands it: numbers
// instead of names, socketcall(2) and ipc(2) beside the direct calls, and one answer a call.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/plan/seccomp_profile.h"

namespace coracle::plan::seccomp {

struct Alternative {
  std::vector<Condition> conditions;  // all must hold; sorted by argument
  uint32_t action = 0;
  size_t origin = 0;  // Rule::origin
};

// What happens to a call: the first alternative that holds, else `otherwise`.
struct Answer {
  std::vector<Alternative> alternatives;
  uint32_t otherwise = 0;
  bool wide = true;  // arguments have 64 bits
};
bool operator==(const Answer& a, const Answer& b);

// Numbers from `first` up to the next range's.
struct Range {
  uint32_t first = 0;
  Answer answer;
};

// All 2^32 numbers of one AUDIT_ARCH_*, in order; neighbours differ.
struct Calls {
  uint32_t arch = 0;
  std::vector<Range> ranges;
};

// The first is this machine's own. Architectures whose programs do not run here (seccomp_abi.h) are
// left out.
//
// Where several rules hold for one call, all with one action, the order is no matter. Where their
// actions differ, neither the specification nor libseccomp's manual says which one counts; what
// runc and crun do is what libseccomp does, and is done here too:
// - a rule without conditions counts before all others, and the first of several such;
// - a rule whose conditions are the first of a later rule's counts before that one;
// - else the rule that is more specific: on a higher argument; by EQ, NE or MASKED_EQ before LE and
//   LT, these before GE and GT; with the higher value (LE, LT: the lower); the one that comes
//   first.
// A rule that another one with the same action covers does not count. Throws spec::Error for a rule
// whose conditions are those, or the first of those, of an earlier rule with another action: so
// does libseccomp (EEXIST).
//
// Conditions are compared with what the kernel shows to a filter: an argument of i386 or arm has
// its upper half zero, so that a value of more than 32 bits is above all of them. (libseccomp cuts
// such a value to its lower half, and LT 0x100000000 then never holds.)
std::vector<Calls> calls_of(const Profile& profile);

// True if calls newer than the profile shall fail with ENOSYS.
//
// A profile cannot name the syscalls of later kernels. C libraries try a new call first and fall
// back on ENOSYS; EPERM, or a signal, breaks them (glibc 2.33 and faccessat2, clone3, ...).
// So where the default denies, a number above the highest that the profile names counts as "not
// in this kernel". Defaults that let calls through are left alone, TRACE too: its tracer decides.
bool wants_enosys(const Profile& profile);

}  // namespace coracle::plan::seccomp
