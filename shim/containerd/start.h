// `start`: sees to it that a shim serves the container, and says where. The daemon is forked before
// anything is read, so that its memory holds nothing of it.
#pragma once

#include <string>

#include "shim/containerd/invocation.h"

namespace coracle::shim {

// In the process that containerd started: returns when the socket is there. Throws spec::Error.
void start(const Invocation& invocation);

// Everything on standard input, at most kMaxInput bytes. Throws spec::Error.
std::string read_input();

}  // namespace coracle::shim
