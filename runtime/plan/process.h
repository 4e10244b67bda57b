// The part of a plan that is about the process: what `create` and `exec` have in common. The
// process has passed spec::validate_process().
//
// Order (runtime-spec leaves it open; this one works with LSMs and seccomp):
//   early, before the pivot, with all capabilities:
//     names and sysctls while no /proc file is masked, AppArmor before no_new_privs, scheduling,
//     the terminal while devpts is reachable and the root is writable
//   late, inside the final root:
//     rlimits while they may still be raised, seccomp here if it needs CAP_SYS_ADMIN, groups, ids,
//     capabilities, working directory, program (a missing one is an error of `create`), the wait
//     for `start`, seccomp here if no_new_privs allows it, execve
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/plan/plan.h"
#include "spec/spec.h"

namespace coracle::plan {

// `exec`, after its Clone: everything from labels to execve for this process. Throws spec::Error.
void add_exec_process(Draft& d, const spec::Process& process, const ExecRequest& request);

// `exec`, before its Clone: process.execCPUAffinity.initial, set on the parent and so inherited by
// the init at its birth in the cgroup.
void add_exec_affinity(Draft& d, const spec::Process& process);

// Before a Keyring step: the keyring gets the container's SELinux label. Nothing without SELinux.
void add_keyring_label(Draft& d, const spec::Process& process);

// ---- pieces, by file --------------------------------------------------------------------------

// process_settings.cc
void add_labels(Draft& d, const spec::Process& process);
void add_scheduling(Draft& d, const spec::Process& process);
void add_affinity(Draft& d, const spec::Process& process, bool exec);
void add_rlimits(Draft& d, const spec::Process& process);
// Before the init joins anything: with the rights of the runtime.
void add_oom_score(Draft& d, const spec::Process& process);
void add_scheduler(Draft& d, const spec::Scheduler& scheduler, Actor actor);

// process_identity.cc
// `keep_admin`: CAP_SYS_ADMIN stays until add_final_capabilities().
void add_identity(Draft& d, const spec::Process& process, bool exec, bool keep_admin);
void add_final_capabilities(Draft& d, const spec::Process& process);
// CAP_SYS_ADMIN is in the container's own bounding set.
bool may_keep_admin(const spec::Process& process);

// process_program.cc: the look-up of HOME while the init has all its rights, that of the program
// with those of the user. The execution is for the caller to add, after the wait for `start`.
struct Program {
  Execute execute{};
  Ref search{0};  // value of PATH
  Ref home{0};    // "HOME=" and room
};
// `exact`: the environment is the process's to the letter, as a hook's is.
Program add_home_lookup(Draft& d, const spec::Process& process, bool exact);
// `name`: a path, or what is to be searched for.
void add_program_lookup(Draft& d, std::string_view name, const Program& program);

// The environment the program gets, but for HOME: each name once, the last one given wins, in the
// order of the remaining entries; LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES if fds are handed on.
// An empty HOME is left out.
struct Environment {
  std::vector<std::string_view> entries;  // views of the spec, or of `own`
  std::vector<std::string> own;           // storage of what is not in the spec
  bool needs_home = false;                // no HOME: the init looks it up
};
Environment make_environment(const spec::Process& process, uint32_t listen_fds,
                             std::string_view listen_names = "");

// The words of a bit set, as set_mempolicy and sched_setaffinity take them: parse_number_list's
// grammar. Throws spec::Error at `origin`.
std::vector<uint64_t> number_set(std::string_view text, std::string_view origin);

}  // namespace coracle::plan
