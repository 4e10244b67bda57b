// Steps that the parent does to the init rather than to itself: raising a hard limit takes
// CAP_SYS_RESOURCE in the initial user namespace (prlimit(2)), which an init in a user namespace
// of its own has not.
#pragma once

#include "runtime/init/init.h"

namespace coracle::init {

// prlimit of `pid`, or of the caller with 0. 0 or -errno.
long set_rlimit(Context& c, int pid, const plan::Rlimit& p);

}  // namespace coracle::init
