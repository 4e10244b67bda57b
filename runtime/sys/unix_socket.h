// Unix sockets with a path. A path longer than sun_path (107 bytes) works too: it is reached
// through a descriptor of its directory (/proc/self/fd/N/name).
#pragma once

#include <string_view>

#include "runtime/sys/fd.h"
#include "runtime/sys/file.h"

namespace coracle::sys {

// `type` is SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM. An Fd, or -errno in it.

// A bound and listening socket at `name` (one component) in `dir`, mode 0600. `backlog`: how many
// may have connected and not been accepted; more of them wait, or fail with EAGAIN.
Fd listen_at(const Fd& dir, const char* name, int type, int backlog = 1);
// The same at an absolute path that fits into sun_path.
Fd listen_path(const char* path, int type, int backlog);
Fd connect_at(const Fd& dir, const char* name, int type);
// Any path, of any length.
Fd connect_path(const char* path, int type);

// A path, or, behind a first '@', an abstract name.
Fd connect_named(std::string_view name, int type);

// ---- datagrams: sockets that wait for nobody

// Bound at `name` (one component) in `dir`, non-blocking.
Fd bind_datagrams(const Fd& dir, const char* name, mode_t mode);
// One datagram, cut off at `size`; descriptors that came with it are closed. The number of bytes,
// or -errno (-EAGAIN: there is none).
long receive_datagram(const Fd& socket, void* buffer, size_t size);
// To the socket's peer. 0 or -errno.
int send_datagram(const Fd& socket, std::string_view data);

// The next connection, non-blocking. -EAGAIN in it if there is none; -EACCES if the peer is neither
// of our user and group nor root (it is turned away).
Fd accept_own(const Fd& listener);

// Sends one message with `data` (not empty) and one descriptor. 0 or -errno.
int send_with_fd(const Fd& socket, std::string_view data, const Fd& passed);

// Receives one message of a SOCK_SEQPACKET socket into `buffer`, and the descriptor that came with
// it (none: nothing in it). The number of bytes, 0 at the end, or -errno; -EMSGSIZE if the message
// was longer than the buffer.
long receive_with_fd(const Fd& socket, void* buffer, size_t size, Fd& passed);

// Both ends of a new connection. 0 or -errno.
int socket_pair(int type, Fd& one, Fd& other);

}  // namespace coracle::sys
