// A child that goes on with our code: its own memory, only the descriptors it was given, and gone
// when we are.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// In the child, descriptors 0, 1 and 2 are copies of `stdio`, kWorkerSocket and kWorkerLog (these
// two close-on-exec) of the other two, and no other is open; no signal is blocked.
inline constexpr int kWorkerSocket = 3;
inline constexpr int kWorkerLog = 4;
struct WorkerFiles {
  const Fd* stdio[3];
  const Fd* socket;
  const Fd* log;             // or null
  const Fd* gate = nullptr;  // or null; becomes kWorkerGate
};
inline constexpr int kWorkerGate = 5;

// fork(2) for a process of one thread. The child's pid, 0 in the child, or -errno.
pid_t fork_worker(const WorkerFiles& files);

// A child that outlives us: a session of its own, "/" as working directory, umask 022, every signal
// with its default action and none blocked, /dev/null as 0, 1 and 2, a copy of `channel` as
// kDaemonChannel (close-on-exec), and nothing else open. The child's pid, 0 in the child, or
// -errno.
inline constexpr int kDaemonChannel = 3;
pid_t fork_daemon(const Fd& channel);

// Starts argv[0] (a path) with the environment `envp`, /dev/null as 0, 1 and 2, `files` as 3, 4,
// ... and nothing else open, in a session of its own. It outlives us. 0 or -errno, also of the
// exec.
int start_with_files(const std::vector<std::string>& argv, const std::vector<std::string>& envp,
                     const std::vector<const Fd*>& files, pid_t& pid);

// Ends the calling process: no destructors, no atexit functions.
[[noreturn]] void leave_worker(int status);

}  // namespace coracle::sys
