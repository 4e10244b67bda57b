// What joins a running container has in common, whatever it is to do there: exec and hooks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/engine/walk.h"
#include "runtime/store/container.h"
#include "runtime/sys/fd.h"
#include "spec/spec.h"

namespace coracle::container {

// The container's first process, by a pidfd, and what procfs shows of it as long as it lives.
class FirstProcess {
 public:
  // Throws spec::Error: messages::kExecStopped where it has ended.
  explicit FirstProcess(const store::Container& container);

  // "root" or "cwd", of exactly this process. Throws spec::Error.
  sys::Fd open(const char* name, int flags) const;
  // Its place below the cgroup2 mount. Throws spec::Error.
  std::string cgroup() const;
  // A copy. Throws spec::Error.
  sys::Fd pidfd() const;
  bool lives() const;

 private:
  std::string path(const char* name) const;

  pid_t pid_;
  sys::Fd pidfd_;
};

// Where a process of the container belongs below the cgroup2 mount: "" where it has no cgroup.
std::string cgroup_of_process(const store::Container& container, const spec::Spec& spec,
                              const FirstProcess& first);

struct JoinRequest {
  const engine::Setting& setting;
  const FirstProcess& first;
  uint64_t types = 0;               // CLONE_NEW*: those of the plan
  bool own_root = false;            // the plan has EnterRoot though it joins the mount namespace
  std::string cgroup;               // "": where we are
  std::string sub;                  // below that: `exec --cgroup`
  std::function<void(pid_t)> born;  // the process (after a fork another one); may be empty
  std::function<void(engine::Walk&)> fill;  // further slots; may be empty
};

// Walks a plan that joins the container, up to where the init waits or executes its program. Throws
// spec::Error; then there is no process.
std::unique_ptr<engine::Walk> join(const JoinRequest& request);

}  // namespace coracle::container
