// linux.intelRdt, done: the resctrl group of a container, from its making to its end. What is made
// is on record first, and only that is removed.
#pragma once

#include <sys/types.h>

#include "runtime/plan/builder.h"
#include "runtime/store/container.h"

namespace coracle::engine {

// Makes or checks the group, sets its limits, and puts `pid`, the container's first process, there.
void enter_resctrl(const plan::View& plan, const plan::IntelRdt& step, store::Container& container,
                   pid_t pid);
// Another process of the container (exec); nothing where the container has no group.
void join_resctrl(const store::Record& record, pid_t pid);
// What is on record as ours. A group that is gone already is fine.
void leave_resctrl(const store::Record& record);

}  // namespace coracle::engine
