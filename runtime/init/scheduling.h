// A scheduling policy, set by the process itself or, where it cannot, by its parent.
#pragma once

#include "runtime/init/init.h"

namespace coracle::init {

// sched_setattr(2) on `pid` (0: the caller). 0 or -errno.
[[nodiscard]] long set_scheduler(int pid, const plan::Scheduler& p);

}  // namespace coracle::init
