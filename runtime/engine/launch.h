// The birth of the init: clone3, then execveat of the sealed init with the sealed plan, in the
// runtime's own user namespace and in none of an existing container's. What it joins it joins after
// that (runtime/init/namespaces.cc), so nobody in a container ever sees a process of the host's
// program.
#pragma once

#include <string>
#include <vector>

#include "runtime/engine/channel.h"
#include "runtime/plan/format.h"
#include "runtime/sys/fd.h"

namespace coracle::engine {

struct Launch {
  std::vector<unsigned char>& block;  // the plan; its header and slots are filled in
  const plan::Clone& clone;           // the step, inside `block`
  const std::string& state_root;
  const sys::Fd& report;                  // plan::kReportSize bytes
  int cgroup = -1;                        // dirfd for CLONE_INTO_CGROUP; -1: stay in the parent's
  uint32_t first_fd = 3;                  // fds from here on are closed, but for the plan's
  const sys::Fd* const* stdio = nullptr;  // three fds above 2 to become 0, 1, 2; null: ours
  bool hold = false;                      // it waits for a go before its first step
};

struct Child {
  pid_t pid = 0;  // 0: none
  sys::Fd pidfd;
  Channel channel;
  sys::Fd init;  // the sealed init and plan it was started from
  sys::Fd plan;
};

// Throws spec::Error; ENOSYS as its code where a filter around us allows no clone3 and the clone
// needs what clone(2) cannot do: CLONE_INTO_CGROUP (try again without), CLONE_NEWTIME.
Child launch(const Launch& launch);

}  // namespace coracle::engine
