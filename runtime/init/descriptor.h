// Handing an fd of the init's to the parent.
#pragma once

#include "runtime/init/init.h"

namespace coracle::init {

// Sends `fd` as kDescriptor of the step that `payload` belongs to, with c.text, and closes it.
// 0 or -errno.
long hand_over(Context& c, const void* payload, long fd);

}  // namespace coracle::init
