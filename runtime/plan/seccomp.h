// linux.seccomp as a BPF program, ready for seccomp(2) in the init.
//
//   resolve (seccomp_profile.h)    names -> calls; what is wrong with one rule is found here
//     -> calls_of (seccomp_calls.h)  what happens to each number of each architecture
//     -> make_tree (seccomp_tree.h)  a balanced tree over ranges of numbers
//
// The program depends on the profile and on this build only, never on the running kernel.
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
                                       // log
};

// Throws spec::Error with the JSON path: an unknown action, operator, architecture or flag, an
// errno where the action takes none (config-linux.md, Seccomp), NOTIFY where it would hang the
// start (see seccomp_profile.h), rules that contradict each other.
Program compile(const spec::LinuxSeccomp& profile, Warnings& warnings);

}  // namespace coracle::plan::seccomp
