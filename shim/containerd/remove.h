// `delete`: takes away what a shim has left of a container, from what is on disk. containerd calls
// it after every container, most often with nothing left, and takes its answer for the exit of one
// whose shim was killed.
#pragma once

#include "shim/containerd/invocation.h"

namespace coracle::shim {

void remove_leftovers(const Invocation& invocation);  // throws spec::Error

}  // namespace coracle::shim
