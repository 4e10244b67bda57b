// linux.resources -> what to write into which file of a cgroup v2 directory, in an order that
// works. Pure; `create` puts the result into the plan, `update` writes it at once.
//
// A number that asks for nothing (0 where the kernel has no zero, as engines send it for "unset")
// gives no write. A value that takes a limit away (-1, idle 0) is written with kCgroupIgnoreMissing
// and needs no controller: where the file is absent there is no limit to take away.
//
// What cgroup v2 cannot do is an error with its JSON path, never left out in silence; the two
// kernel memory limits are the exception (config-linux.md calls them deprecated: a warning).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/plan.h"
#include "spec/spec.h"

namespace coracle::plan {

// `available`: the controllers of the cgroup2 root. Throws spec::Error at the JSON path of a value
// that is wrong, or whose controller is missing (naming controller and file).
std::vector<LimitWrite> limit_writes(const spec::LinuxResources& resources,
                                     const std::vector<std::string>& available, Warnings& warnings);

// The controllers without which these writes fail, each once, in order of first use. The views
// point into `writes`.
std::vector<std::string_view> needed_controllers(const std::vector<LimitWrite>& writes);

// cpu.shares (2 to 262144) as cpu.weight (1 to 10000): quadratic in log2, so that 2, 1024 and
// 262144 become 1, 100 and 10000 (kubernetes/enhancements KEP 5639; runc and crun since 2025).
uint64_t weight_of_shares(uint64_t shares);

// blkio weight (10 to 1000) as io.weight (1 to 10000), linear.
uint64_t io_weight(uint64_t blkio_weight);

}  // namespace coracle::plan
