// `update`: new limits for a cgroup that is in use. Device rules are never touched: others (GPU
// plugins) add their own to a running container.
#pragma once

#include "runtime/cgroup/fs.h"
#include "runtime/plan/plan.h"
#include "spec/spec.h"

namespace coracle::cgroup {

// What the request leaves open but the kernel wants to know, from the limits in force: cpu.max
// holds quota and period, so either alone keeps the other; a swap limit counts memory too, so
// alone it goes with the present memory limit.
spec::LinuxResources complete(const Cgroup& cgroup, const spec::LinuxResources& request);

// Checks everything that can be checked, enables missing controllers, then writes file by file.
// Throws spec::Error; limits written before the one that failed stay. What was given is what is
// set: limits that the request does not name are left alone.
void update(const sys::Fd& mount, const Cgroup& cgroup, const spec::LinuxResources& request,
            plan::Warnings& warnings);

}  // namespace coracle::cgroup
