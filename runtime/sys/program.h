// Starting a program, in our namespaces or in those of a container, without a copy of our memory
// and with nothing of ours in it: signals as new, every other descriptor closed, a process group
// of its own, killed should we die (a daemon that the program forks on purpose lives on).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "runtime/sys/fd.h"

namespace coracle::sys {

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
  const char* path = nullptr;       // absolute
  char* const* argv = nullptr;      // null-terminated
  char* const* envp = nullptr;      // null-terminated
  const char* directory = nullptr;  // working directory
  const Fd* input = nullptr;        // become 0, 1 and 2
  const Fd* output = nullptr;
  const Fd* error = nullptr;
  const Place* place = nullptr;
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
