// Limits and scheduling: rlimits, scheduler, I/O priority, personality, memory policy, CPUs.
#include "runtime/init/scheduling.h"

#include <asm/errno.h>
#include <linux/sched/types.h>

#include "runtime/init/syscall.h"

namespace coracle::init {

using plan::Call;

long run(Context& c, const plan::Rlimit& p) {
  const struct {  // rlimit64, prlimit64(2)
    uint64_t soft;
    uint64_t hard;
  } limit{p.soft, p.hard};
  const long r = syscall(__NR_prlimit64, 0, p.resource, &limit, 0);
  return r < 0 ? fail(c, Call::k_setrlimit, r) : 0;
}

long set_scheduler(int pid, const plan::Scheduler& p) {
  sched_attr attr{};
  attr.size = SCHED_ATTR_SIZE_VER0;
  attr.sched_policy = p.policy;
  attr.sched_flags = p.flags;
  attr.sched_nice = p.nice;
  attr.sched_priority = p.priority;
  attr.sched_runtime = p.runtime;
  attr.sched_deadline = p.deadline;
  attr.sched_period = p.period;
  return syscall(__NR_sched_setattr, pid, &attr, 0);
}

long run(Context& c, const plan::Scheduler& p) {
  const long r = set_scheduler(0, p);
  return r < 0 ? fail(c, Call::k_sched_setattr, r) : 0;
}

long run(Context& c, const plan::IoPriority& p) {
  constexpr int kWhoProcess = 1;  // IOPRIO_WHO_PROCESS, ioprio_set(2)
  const long r = syscall(__NR_ioprio_set, kWhoProcess, 0, p.value);
  return r < 0 ? fail(c, Call::k_ioprio_set, r) : 0;
}

long run(Context& c, const plan::Personality& p) {
  const long r = syscall(__NR_personality, p.persona);
  return r < 0 ? fail(c, Call::k_personality, r) : 0;
}

// The kernel looks at one bit less than `maxnode` says (set_mempolicy(2), BUGS of get_nodes).
long run(Context& c, const plan::MemoryPolicy& p) {
  const uint64_t* nodes = p.nodes.count != 0 ? c.list<uint64_t>(p.nodes) : nullptr;
  const unsigned long bits = nodes != nullptr ? p.nodes.count * 64UL + 1 : 0;
  const long r = syscall(__NR_set_mempolicy, p.mode, nodes, bits);
  return r < 0 ? fail(c, Call::k_set_mempolicy, r) : 0;
}

// All CPUs: since Linux 6.2 an affinity once set by hand outlives a change of the cpuset, so one
// inherited from the caller would hold the container down for good. The kernel ignores bits and
// bytes beyond its own CPUs, and takes what the cpuset allows.
long run(Context& c, const plan::CpuAffinity& p) {
  const void* mask = c.path;
  size_t size = sizeof(c.path);
  if (p.cpus.count != 0) {
    mask = c.list<uint64_t>(p.cpus);
    size = p.cpus.count * sizeof(uint64_t);
  } else {
    for (char& byte : c.path) byte = static_cast<char>(0xff);
  }
  const long r = syscall(__NR_sched_setaffinity, 0, size, mask);
  return r < 0 ? fail(c, Call::k_sched_setaffinity, r) : 0;
}

}  // namespace coracle::init
