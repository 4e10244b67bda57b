// The first process of a scope: it does nothing, and lives from before the scope exists until the
// container's init is in it.
//
// systemd makes a scope only around a process that is there already, while the init is to be born
// in its cgroup (CLONE_INTO_CGROUP), with limits, device rules and ownership in place: a move after
// the birth costs milliseconds, leaves memory charged where it came from, and lets the init run
// outside of its limits for a while. So something else has to be the scope's first process:
//
//   parent                                   systemd
//     | fork the placeholder
//     | StartTransientUnit(PIDs=[it]) --------> |  makes the cgroup, sets limits, moves it in
//     | <------------------------- JobRemoved --|
//     | limits, device rules, ownership
//     | clone3(CLONE_INTO_CGROUP): the init
//     | kill the placeholder, wait for it       |  the scope is never empty
//
// What if the parent is killed in between? The placeholder dies with it (PR_SET_PDEATHSIG), and so
// does an init that is not complete. A scope without processes ends by itself, and one that failed
// because its process was gone is forgotten (CollectMode=inactive-or-failed): systemd clears up,
// whether or not anybody ever calls `delete`, which stops the unit by the name on record anyway.
//
// A process that only sleeps in our memory (CLONE_VM) would be cheaper, but then the OOM killer,
// should it choose the placeholder, ends everybody who shares the memory: us.
#pragma once

#include <sys/types.h>

#include "runtime/sys/fd.h"

namespace coracle::systemd {

class Placeholder {
 public:
  // Throws spec::Error.
  Placeholder();
  ~Placeholder();
  Placeholder(const Placeholder&) = delete;
  Placeholder& operator=(const Placeholder&) = delete;

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

}  // namespace coracle::systemd
