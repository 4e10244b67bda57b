// Stream sockets whose every wait has an end, the one in connect(2) included: a listener that
// accepts nobody, a reader that reads nothing and a writer that writes nothing cost the time that
// the deadline leaves, and no more.
#pragma once

#include <cstddef>
#include <string_view>

#include "runtime/sys/deadline.h"
#include "runtime/sys/fd.h"

namespace coracle::sys {

// A connected, non-blocking socket. `name` is a path, or, behind a first '@', an abstract name
// (unix(7)). Holds -ETIMEDOUT where nobody accepted in time, or another -errno.
Fd connect_stream(std::string_view name, const Deadline& deadline);

// Writes everything. 0, -ETIMEDOUT, or another -errno (-EPIPE: the other side is gone).
int send_stream(const Fd& socket, std::string_view data, const Deadline& deadline);

// What there is to read, at least one byte. The number of bytes, 0 at the end, -ETIMEDOUT, or
// another -errno.
long receive_stream(const Fd& socket, char* buffer, size_t size, const Deadline& deadline);

}  // namespace coracle::sys
