// The role of containerd-shim-coracle-v2: containerd starts it, and it stays behind to look after
// the containers of one task or pod.
#pragma once

namespace coracle::shim {

// As coracle::commands::run: the exit status; throws spec::Error.
int run(int argc, char** argv, int& failure_status);

}  // namespace coracle::shim
