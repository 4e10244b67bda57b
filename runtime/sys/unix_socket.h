// Unix sockets with a path. A path longer than sun_path (107 bytes) works too: it is reached
// through a descriptor of its directory (/proc/self/fd/N/name).
#pragma once

#include <string_view>

#include "runtime/sys/fd.h"
#include "runtime/sys/file.h"

namespace coracle::sys {

// `type` is SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM. An Fd, or -errno in it.

// A bound and listening socket at `name` (one component) in `dir`, mode 0600.
Fd listen_at(const Fd& dir, const char* name, int type);
Fd connect_at(const Fd& dir, const char* name, int type);
// Any path, of any length.
Fd connect_path(const char* path, int type);

// Sends one message with `data` (not empty) and one descriptor. 0 or -errno.
int send_with_fd(const Fd& socket, std::string_view data, const Fd& passed);

}  // namespace coracle::sys
