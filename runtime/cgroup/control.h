// What happens to a container's cgroup once it is there: freeze, thaw, kill, wait, remove, and who
// is in it. Waiting is always poll(2) on cgroup.events, never a loop of sleeps, and has an end.
//
// All functions throw spec::Error with the cgroup's path in the message.
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "runtime/cgroup/fs.h"
#include "runtime/sys/fd.h"

namespace coracle::cgroup {

inline constexpr int kWaitMs = 10000;

// cgroup.events: processes that are not yet dead, here or below; all of them frozen.
bool is_populated(const Cgroup& cgroup);
bool is_frozen(const Cgroup& cgroup);

// Freezes everything in the cgroup and waits until it is. If that does not come about in time
// (a process in uninterruptible sleep), it is thawed again and an error thrown.
void freeze(const Cgroup& cgroup, int timeout_ms = kWaitMs);
void thaw(const Cgroup& cgroup);

// SIGKILL to every process here and below, frozen ones too (cgroup.kill, Linux 5.14): none can
// escape by forking. A cgroup that is gone is no error.
void kill_all(const Cgroup& cgroup);

// Waits until no process is left here and below. False: time is up. timeout_ms < 0: for ever.
bool wait_empty(const Cgroup& cgroup, int timeout_ms);

// The processes in the cgroup, with `recursive` also those below, sorted. Processes that are not
// visible in the caller's pid namespace are left out.
std::vector<pid_t> pids(const Cgroup& cgroup, bool recursive);

// Removes the cgroup and everything below it: kills, waits until it is empty, removes the deepest
// first. One rmdir(2) if it is empty already. A missing one is no error. Throws if it is still
// there after the timeout.
void destroy(const sys::Fd& mount, std::string_view path, int timeout_ms = kWaitMs);

}  // namespace coracle::cgroup
