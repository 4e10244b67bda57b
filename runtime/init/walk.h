// The init's walk of the plan and its words to the parent.
#pragma once

#include "runtime/init/init.h"

namespace coracle::init {

// Does the init's steps in order and never returns: the last one executes the container's program.
[[noreturn]] void walk(Context& c);

// One message to the parent (or to the `start` that waits), with up to one fd. 0 or -errno.
long send_message(Context& c, plan::MessageKind kind, uint16_t step, long error, int fd = -1);

// Waits for kGo on `socket`. 0; -EPIPE when the other side is gone; another -errno.
long await_go(int socket);

}  // namespace coracle::init
