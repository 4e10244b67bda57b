// The page in which an init tells what it may not be able to send (plan::Report).
#pragma once

#include "runtime/plan/format.h"
#include "runtime/sys/fd.h"

namespace coracle::engine {

// One that only we and the init know. Holds -errno on failure.
[[nodiscard]] sys::Fd make_report();
// One in a container's directory (store::Container::make_report), or of make_report(). 0 or -errno.
[[nodiscard]] int read_report(const sys::Fd& file, plan::Report& out);

}  // namespace coracle::engine
