// Everything that ends as a child of ours: containers' first processes and execs, workers, loggers,
// and the orphans that come to us as a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER).
//
// Workers: whatever may block or run hooks (create, start, exec, delete, ...) is done by a forked
// child of ours with the runtime's own code, so that no container waits for another, nothing of it
// stays in our memory, and its prctls, signal masks and working directories are its own affair. A
// process that a worker makes becomes our child when the worker ends, and its end is told after
// the worker's, however soon it came.
//
// The shim itself may have as many descriptors as its hard limit allows: every connection and every
// stream takes some. Workers, and so containers, have the limit that we were given.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

#include "runtime/sys/fd.h"
#include "shim/loop.h"

namespace coracle::shim {

struct Outcome {
  std::string error;  // "": it was done
  pid_t pid = 0;      // of the process that was made
  sys::Fd descriptor;
  std::string text;
};

class Children {
 public:
  using Ended = std::function<void(int wait_status)>;
  // Runs in the worker. It may throw; the words are the outcome's error.
  using Task = std::function<Outcome()>;
  using Done = std::function<void(Outcome outcome)>;

  explicit Children(Loop& loop);

  // What to do when the child `pid` has ended.
  void expect(pid_t pid, Ended ended);
  // `stdio` (none: /dev/null) become the worker's 0, 1 and 2, and so those of a process that it
  // makes; every other descriptor is closed in it. With a `gate` it waits until that can be read
  // from (or is at its end) before it begins. `done` is called when the worker has ended. Throws
  // spec::Error.
  struct Files {
    const sys::Fd* stdio[3];
    const sys::Fd* gate = nullptr;
    bool strict = false;  // the end of the gate without a byte is a failure
  };
  void work(const Files& files, const Task& task, Done done);
  // With /dev/null.
  void work(const Task& task, Done done);
  size_t working() const { return working_; }

 private:
  void reap();
  void finish(const sys::Fd& socket, int wait_status, const Done& done);

  Loop& loop_;
  rlimit descriptors_;  // as we were given it
  sys::Fd null_;
  sys::Fd signals_;
  std::map<pid_t, Ended> expected_;
  // Ended, and nobody expects them: orphans, or what a worker has made. A worker and its children
  // become ours to wait for in one moment (the kernel's exit_notify), so this is kept for no longer
  // than one round of waiting; a pid that is used again is never taken for the earlier one.
  std::map<pid_t, int> early_;
  size_t working_ = 0;
  Watch watch_;
};

// 0 to 255; 128 + signal when killed.
inline constexpr int kSignalled = 128;
int exit_status_of(int wait_status);

}  // namespace coracle::shim
