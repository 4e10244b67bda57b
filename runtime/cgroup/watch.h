// Being told when a container runs out of memory, and when its last process has ended.
#pragma once

#include <cstdint>

#include "runtime/cgroup/fs.h"
#include "runtime/sys/fd.h"

namespace coracle::cgroup {

class Watch {
 public:
  enum class Event {
    kTimeout,
    kOom,    // the kernel killed a process here or below for want of memory; once each time it
             // is seen that the count has grown
    kEmpty,  // no process is left, or the cgroup is gone; from then on every wait returns it
  };

  // OOM kills from before do not count. Where there is no memory controller there is no kOom.
  // Throws spec::Error if the cgroup is gone already.
  explicit Watch(const Cgroup& cgroup);

  // timeout_ms < 0: for ever.
  Event wait(int timeout_ms);

  // To wait for beside other things: poll both for POLLPRI, then call wait(0) until kTimeout. The
  // first may be no descriptor.
  const sys::Fd& memory_events() const { return memory_; }
  const sys::Fd& cgroup_events() const { return events_; }

 private:
  bool is_empty() const;
  uint64_t read_kills() const;

  sys::Fd memory_;  // memory.events
  sys::Fd events_;  // cgroup.events
  uint64_t kills_ = 0;
};

}  // namespace coracle::cgroup
