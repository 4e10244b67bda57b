// linux.seccomp as a BPF program, ready for seccomp(2) in the init.
//
//   resolve (seccomp_profile.h)  names -> numbers; what is wrong with the profile is told here
//     -> make_tree (seccomp_tree.h)     plain profiles: a balanced tree over ranges of numbers
//     -> library_program (seccomp_library.h)  all the others: libseccomp, and add_enosys
//
// Both ways give the same verdict for every call; the second is the oracle of the first one's
// test. The program depends on the profile and on this build only, never on the running kernel,
// so it can be kept (runtime/store/seccomp_cache.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/plan/plan.h"
#include "spec/spec.h"

namespace coracle::plan::seccomp {

struct Program {
  std::vector<uint64_t> instructions;  // struct sock_filter, at most BPF_MAXINSNS
  uint32_t flags = 0;                  // SECCOMP_FILTER_FLAG_*, without NEW_LISTENER
  bool notify = false;                 // an action is NOTIFY: load with NEW_LISTENER
  std::vector<std::string> unknown;    // syscalls this build does not know: skipped; for the debug
                                       // log (empty when the program comes from the cache)
};

// Throws spec::Error with the JSON path: an unknown action, operator, architecture or flag, an
// errno where the action takes none (config-linux.md, Seccomp), NOTIFY where it would hang the
// start (see seccomp_profile.h), rules that contradict each other.
Program compile(const spec::LinuxSeccomp& profile, Warnings& warnings);

// The libseccomp version this build has, as 0xMMmmpp.
uint32_t library_version();

// Grows with every change to what compile() makes of a profile; part of the cache's key.
inline constexpr uint32_t kGeneration = 1;

}  // namespace coracle::plan::seccomp
