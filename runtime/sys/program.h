// Starting a program, in our namespaces or in those of a container, without a copy of our memory
// and with nothing of ours in it: signals as new, every other descriptor closed, a process group
// of its own, killed should we die (a daemon that the program forks on purpose lives on).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// What a program may do inside a container; applied in this order, last before its exec.
struct Confinement {
  uint64_t bounding = 0;  // capability sets: bit n is capability n
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
  uint64_t ambient = 0;
  const uint32_t* groups = nullptr;
  uint32_t group_count = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool no_new_privileges = false;
  const uint64_t* filter = nullptr;  // struct sock_filter; none if filter_size is 0
  uint32_t filter_size = 0;          // instructions
  uint32_t filter_flags = 0;         // SECCOMP_FILTER_FLAG_*, without NEW_LISTENER
};

// The namespaces of a running process. Our executable is not to be seen from inside: the process
// that joins is not dumpable (CVE-2016-9962) until it has become the program.
struct Join {
  const Fd* pidfd = nullptr;
  uint64_t namespaces = 0;     // CLONE_NEW*: those that differ from ours
  const Fd* root = nullptr;    // its root directory (/proc/PID/root); chroot follows the joins
  const Fd* cgroup = nullptr;  // born there (CLONE_INTO_CGROUP); null: in ours
  const Confinement* confine = nullptr;
};

// A detached mount (open_tree(2)), and the directory that it covers as the program sees it.
struct Cover {
  const Fd* tree = nullptr;
  const char* path = nullptr;  // absolute
};

// For a program that works on the host beside us, instead of what stands above start_program.
struct Place {
  const Fd* const* further = nullptr;  // become 3, 4, ...
  int further_count = 0;
  const Fd* cgroup = nullptr;     // an open cgroup; the program is moved there first
  uint64_t unshare = 0;           // CLONE_NEWCGROUP, with that cgroup as its root; CLONE_NEWNS
  const Cover* covers = nullptr;  // only with CLONE_NEWNS, which is made a slave of ours: none of
  int cover_count = 0;            // them is ever seen outside, and they end with the program
  bool same_group = false;        // stays in our process group: it works on our terminal
  bool outlives = false;          // not killed should we die
};

struct Program {
  const char* path = nullptr;      // absolute
  const Fd* executable = nullptr;  // execveat(2) of this instead; close-on-exec, so a script, whose
                                   // interpreter could not open it, is ENOENT (execveat(2), BUGS)
  bool or_path = false;            // ... and then `path` is tried
  char* const* argv = nullptr;     // null-terminated
  char* const* envp = nullptr;     // null-terminated
  const char* directory = nullptr;     // working directory, resolved where the program runs
  const Fd* open_directory = nullptr;  // ... or one that is open already
  const Fd* input = nullptr;           // become 0, 1 and 2
  const Fd* output = nullptr;
  const Fd* error = nullptr;
  const Join* join = nullptr;
  const Place* place = nullptr;  // not both
};

struct Started {
  pid_t pid = 0;  // in our pid namespace; a child of ours, leader of its process group
  Fd pidfd;
  std::string call;  // where it failed: "execve"
};

// Returns when the program runs. 0 or -errno: then nothing runs and nothing is to be waited for.
// Call it from one thread only; the calling thread's death is what kills the program.
int start_program(const Program& program, Started& started);

}  // namespace coracle::sys
