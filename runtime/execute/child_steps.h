// Steps of the parent that change the waiting init from outside: what takes a right on the host
// that the init, in a user namespace, no longer has.
#pragma once

#include <sys/types.h>

#include "runtime/plan/builder.h"

namespace coracle::execute {

// True if `step` is of such a kind; it has been done then. Throws spec::Error.
bool run_on_child(pid_t child, const plan::View& plan, const plan::Step& step);

}  // namespace coracle::execute
