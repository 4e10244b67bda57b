// The freestanding init as bytes inside this binary, and as something that can be executed.
#pragma once

#include <string>

#include "runtime/sys/fd.h"

namespace coracle::engine {

// A sealed memfd holding the init; nobody can change it, and /proc/PID/exe of a process that runs
// it leads to no file of the host (CVE-2019-5736). Where vm.memfd_noexec=2 forbids that (Linux
// 6.3), a file in the state root behind a read-only detached mount. Holds -errno on failure.
sys::Fd open_init(const std::string& state_root);

// A sealed, read-only copy of `size` bytes, close-on-exec. Holds -errno on failure.
sys::Fd sealed_copy(const char* name, const void* data, size_t size, unsigned flags);

}  // namespace coracle::engine
