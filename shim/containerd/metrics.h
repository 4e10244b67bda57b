// A cgroup's statistics as containerd's users read them: io.containerd.cgroups.v2.Metrics
// (github.com/containerd/cgroups, cgroup2/stats/metrics.proto).
#pragma once

#include <string>

#include "runtime/cgroup/stats.h"

namespace coracle::shim {

// The bytes of the message. What has no controller is left out; a limit of "max" is 2^64-1. Throws
// spec::Error.
std::string metrics_of(const cgroup::Cgroup& cgroup);

}  // namespace coracle::shim
