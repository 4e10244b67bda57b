// A profile compiled by ourselves: one search tree over ranges of system call numbers for each
// architecture, shaped so that the numbers the kernel has are found in the fewest steps.
//
// Why: attaching a filter, the kernel runs it once for every number of every architecture, to know
// which calls need not be filtered at all (Linux 5.11, seccomp_cache_prepare), and then compiles
// it. So both the steps and the length of a program are paid at each start of a container.
// libseccomp's tree has leaves of four calls each and no ranges; this one has half its
// instructions and is attached in a third of the time or less.
//
// And it is right where libseccomp 2.5.4 is not: there several rules for one call are lost when
// they compare one 64-bit argument by order (LE 0xffffffff00000000 beside LT 0x7e020000), or have
// several conditions each; and its list layout can compare the architecture instead of the number.
// tests/unit/plan_seccomp_tree_test.cc compares this tree with the rules themselves, and both with
// libseccomp but for these faults.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/plan/seccomp_profile.h"

namespace coracle::plan::seccomp {

// struct sock_filter each. Throws what calls_of() throws. May have more instructions than the
// kernel takes.
std::vector<uint64_t> make_tree(const Profile& profile);

}  // namespace coracle::plan::seccomp
