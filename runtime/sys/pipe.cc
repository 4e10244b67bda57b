#include "runtime/sys/pipe.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace coracle::sys {

int make_pipe(Fd& reader, Fd& writer) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return -errno;
  reader = Fd(ends[0]);
  writer = Fd(ends[1]);
  return 0;
}

int set_blocking(const Fd& file, bool blocking) {
  const int flags = ::fcntl(file.get(), F_GETFL);
  if (flags < 0) return -errno;
  const int wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  return wanted != flags && ::fcntl(file.get(), F_SETFL, wanted) < 0 ? -errno : 0;
}

Fd reopen(const Fd& file, int flags) {
  char path[32];
  ::snprintf(path, sizeof(path), "/proc/self/fd/%d", file.get());
  return open_at(At::cwd(), path, flags);
}

int64_t move_bytes(const Fd& from, const Fd& to, size_t size) {
  ssize_t n;
  do {
    n = ::splice(from.get(), nullptr, to.get(), nullptr, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

int set_window_size(const Fd& master, uint16_t width, uint16_t height) {
  winsize size = {};
  size.ws_col = width;
  size.ws_row = height;
  return ::ioctl(master.get(), TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

}  // namespace coracle::sys
