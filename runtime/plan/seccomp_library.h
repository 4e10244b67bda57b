// A profile compiled by libseccomp: every kind of profile and architecture.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/plan/seccomp_profile.h"

namespace coracle::plan::seccomp {

// The filter as libseccomp writes it, struct sock_filter each; `binary_tree` asks for its faster
// layout. Every rule's number must be libseccomp's (no kNotInLibrary). Throws spec::Error.
std::vector<uint64_t> library_program(const Profile& profile, bool binary_tree = true);

// How a program of one ABI gets at a system call; -1: not that way. i386 has two for many: a number
// of the call's own, and socketcall(2) or ipc(2) with the call as their first argument.
struct Entrance {
  int number = -1;
  int multiplexer = -1;
  uint32_t call = 0;
};
Entrance entrance_of(std::string_view name, uint32_t arch);

// A call that libseccomp may not know, but entrance_of does, on x86_64, i386 and x32.
bool is_newer(std::string_view name);

// The highest number among profile.known in this architecture; -1 if it has none of them. x32
// numbers have bit 30 set.
int highest_known(const Profile& profile, uint32_t arch);

// True if calls newer than the profile shall fail with ENOSYS.
//
// A profile cannot name the syscalls of later kernels. C libraries try a new call first and fall
// back on ENOSYS; EPERM, or a signal, breaks them (glibc 2.33 and faccessat2, clone3, ...).
// So where the default denies, a number above the highest that the profile names counts as "not
// in this kernel". Defaults that let calls through are left alone, TRACE too: its tracer decides.
bool wants_enosys(const Profile& profile);

// Puts instructions in front that do so; `program` is one of library_program's.
void add_enosys(const Profile& profile, std::vector<uint64_t>& program);

}  // namespace coracle::plan::seccomp
