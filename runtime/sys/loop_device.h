// A file as a block device (loop(4)).
#pragma once

#include <string>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// A device of this file, and its path in `device`; it goes when nobody has it open or mounted any
// more (LO_FLAGS_AUTOCLEAR). Holds -errno on failure; LOOP_CONFIGURE wants Linux 5.8.
Fd make_loop_device(const char* file, bool read_only, std::string& device);

}  // namespace coracle::sys
