#include "runtime/sys/stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "runtime/sys/unix_socket.h"

namespace coracle::sys {
namespace {

constexpr int kBacklogPauseMs = 10;  // poll(2) does not tell when a backlog has room again

// 0 when the socket is ready, or -ETIMEDOUT, or another -errno.
int wait_for(const Fd& socket, short events, const Deadline& deadline) {
  for (;;) {
    pollfd entry = {socket.get(), events, 0};
    const int n = ::poll(&entry, 1, deadline.left());
    if (n > 0) return 0;
    if (n == 0) return -ETIMEDOUT;
    if (errno != EINTR) return -errno;
  }
}

Fd connect_once(std::string_view name) { return connect_named(name, SOCK_STREAM | SOCK_NONBLOCK); }

}  // namespace

Fd connect_stream(std::string_view name, const Deadline& deadline) {
  for (;;) {
    Fd socket = connect_once(name);
    if (socket.error() != EAGAIN) return socket;  // EAGAIN: the backlog is full (unix(7))
    if (deadline.is_over()) return Fd(-ETIMEDOUT);
    ::poll(nullptr, 0, kBacklogPauseMs);
  }
}

int send_stream(const Fd& socket, std::string_view data, const Deadline& deadline) {
  while (!data.empty()) {
    const ssize_t n = ::send(socket.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      data.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      if (int r = wait_for(socket, POLLOUT, deadline)) return r;
    } else if (errno != EINTR) {
      return -errno;
    }
  }
  return 0;
}

long receive_stream(const Fd& socket, char* buffer, size_t size, const Deadline& deadline) {
  for (;;) {
    const ssize_t n = ::recv(socket.get(), buffer, size, MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno == EAGAIN) {
      if (int r = wait_for(socket, POLLIN, deadline)) return r;
    } else if (errno != EINTR) {
      return -errno;
    }
  }
}

}  // namespace coracle::sys
