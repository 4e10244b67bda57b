// What the shim knows of its containers. Everything that State, Wait and Connect tell is here: they
// make no system call.
//
// A process's life:   (Create, Exec) created -> running -> stopped (Delete)
// with two flags beside it: a worker is starting it; its end was seen but not yet told, because
// something has to be told before it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cgroup/watch.h"
#include "runtime/store/root.h"
#include "runtime/sys/fd.h"
#include "shim/containerd/messages.h"
#include "shim/containerd/options.h"
#include "shim/containerd/server.h"
#include "shim/stdio/streams.h"

namespace coracle::shim {

// Host ids that own the fifos and pipes of a container's processes; 0: as they are.
struct StreamOwner {
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct Process {
  std::string id;  // of the exec; "": the container's first process
  TaskStatus status = TaskStatus::kCreated;
  StdioPaths stdio;
  std::unique_ptr<Streams> streams;
  std::string spec;  // JSON of an exec's process, until it is started
  pid_t pid = 0;     // 0: not made
  sys::Fd pidfd;
  bool starting = false;
  bool ended = false;  // but not yet told
  uint32_t exit_status = 0;
  sys::Time exited_at = kNever;
  std::vector<Call> waiters;
  bool deleting = false;
  std::function<void()> after_end;  // once its end has been told of
  // Asked for before there were streams.
  bool input_closed = false;
  uint32_t width = 0;
  uint32_t height = 0;

  bool is_live() const { return starting || (pid != 0 && status != TaskStatus::kStopped); }
};

struct Container {
  std::string id;
  std::string bundle;
  store::RootChoice root;
  Options options;
  StreamOwner owner;
  std::string checkpoint;  // what it is restored from when it is started; "": it is new
  Process init;
  std::map<std::string, std::unique_ptr<Process>> execs;
  std::string cgroup_path;  // "": none
  bool own_pids = false;    // its pid namespace ends with its first process
  bool paused = false;
  std::optional<cgroup::Watch> oom;
  Watch oom_watch;

  std::string rootfs() const { return bundle + "/rootfs"; }
  // criu's own files, unless the options say where.
  std::string criu_work() const { return bundle + "/criu-work"; }
};

}  // namespace coracle::shim
