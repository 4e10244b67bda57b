// `update`: new limits for a cgroup that is in use. Device rules are never touched: others (GPU
// plugins) add their own to a running container.
#pragma once

#include "runtime/cgroup/fs.h"
#include "runtime/plan/limits.h"
#include "spec/spec.h"

namespace coracle::cgroup {

// What the request leaves open but the kernel wants to know, from the limits in force: cpu.max
// holds quota and period, so either alone keeps the other; a swap limit counts memory too, so
// alone it goes with the present memory limit.
spec::LinuxResources complete(const Cgroup& cgroup, const spec::LinuxResources& request);

// What is to be written for it, all checked that can be checked. Limits that the request does not
// name are left alone. Throws spec::Error.
std::vector<plan::LimitWrite> update_writes(const sys::Fd& mount, const Cgroup& cgroup,
                                            const spec::LinuxResources& request,
                                            plan::Warnings& warnings);

// Enables missing controllers, then writes file by file. Throws spec::Error; limits written before
// the one that failed stay.
void update(const sys::Fd& mount, const Cgroup& cgroup, const std::vector<plan::LimitWrite>& writes,
            Pass pass = Pass::kAll);

}  // namespace coracle::cgroup
