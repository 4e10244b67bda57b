// flock(2) with a limit on the waiting, and who holds a lock that was not to be had.
#pragma once

#include <sys/types.h>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// Takes the exclusive lock on the open file. It belongs to the open file description: copies of the
// descriptor in children hold it too, until unlock(). 0, -ETIMEDOUT, or another -errno.
int lock_exclusive(const Fd& file, int timeout_ms);
int unlock(const Fd& file);

// The process that holds a flock(2) on the file, by /proc/locks; 0 if it cannot be told (another
// pid namespace). Only good for messages.
pid_t lock_holder(const Fd& file);

}  // namespace coracle::sys
