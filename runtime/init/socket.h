// Sending an fd over a unix socket without a C library (unix(7), SCM_RIGHTS).
#pragma once

#include <stddef.h>

namespace coracle::init {

// sendmsg with `size` bytes and, if fd >= 0, that fd. Never raises SIGPIPE. 0 or -errno.
long send_with_fd(int socket, const void* data, size_t size, int fd);

}  // namespace coracle::init
