// What the init tells the parent in the middle of a step.
#pragma once

#include "runtime/init/init.h"

namespace coracle::init {

// Sends `fd` as kDescriptor of the step that `payload` belongs to, with c.text, and closes it.
// 0 or -errno.
long hand_over(Context& c, const void* payload, long fd);

// Sends a warning of the step that `payload` belongs to, with c.call and c.text. What is only a
// warning is no error if it cannot be sent.
void warn(Context& c, const void* payload, long error);

}  // namespace coracle::init
