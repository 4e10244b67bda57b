// Sending an fd over a unix socket without a C library (unix(7), SCM_RIGHTS).
#pragma once

#include <stddef.h>

namespace coracle::init {

// sendmsg with `size` bytes and, if fd >= 0, that fd. Never raises SIGPIPE. 0 or -errno.
[[nodiscard]] long send_with_fd(int socket, const void* data, size_t size, int fd);

// The fd of the next message, which is one byte. -errno; -ENODATA where there is none.
[[nodiscard]] long receive_fd(int socket);

}  // namespace coracle::init
