// The birth of the init: clone3 (through a launcher where namespaces are joined), then execveat of
// the sealed init with the sealed plan.
#pragma once

#include <string>
#include <vector>

#include "runtime/execute/channel.h"
#include "runtime/plan/format.h"
#include "runtime/sys/fd.h"

namespace coracle::execute {

struct Launch {
  std::vector<unsigned char>& block;  // the plan; its slots and sync fd are filled in
  const plan::Clone& clone;           // the step, inside `block`
  int cgroup = -1;                    // dirfd for CLONE_INTO_CGROUP; -1: stay in the parent's
  uint32_t first_fd = 3;              // fds from here on are closed in the init, but for the plan's
  uint64_t ignored_signals = 0;       // bit n-1: signal n is ignored by the caller
  const std::string& state_root;
  bool await_go = false;  // the child waits for a message, as it does for id maps
};

struct Child {
  pid_t pid = 0;
  sys::Fd pidfd;
  Channel channel;
  sys::Fd init;  // the sealed init and plan it was started from
  sys::Fd plan;
};

// Throws spec::Error. The child waits for id maps where the plan says so.
Child launch(const Launch& launch);

}  // namespace coracle::execute
