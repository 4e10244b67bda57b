#include "runtime/sys/event.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace coracle::sys {

int64_t monotonic_ms() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

int wait_changed(const Fd* first, const Fd* second, int timeout_ms) {
  // A negative descriptor is left out by poll.
  pollfd files[2] = {{first ? first->get() : -1, POLLPRI, 0},
                     {second ? second->get() : -1, POLLPRI, 0}};
  const int64_t deadline = monotonic_ms() + timeout_ms;
  int left = timeout_ms;
  for (;;) {
    int r = ::poll(files, 2, left);
    if (r >= 0) return r == 0 ? 0 : (files[0].revents ? 1 : 0) | (files[1].revents ? 2 : 0);
    if (errno != EINTR) return -errno;
    if (timeout_ms >= 0) {
      left = static_cast<int>(deadline - monotonic_ms());
      if (left < 0) left = 0;
    }
  }
}

int reread(const Fd& file, char* buffer, int size) {
  ssize_t n;
  do {
    n = ::pread(file.get(), buffer, static_cast<size_t>(size - 1), 0);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return -errno;
  buffer[n] = '\0';
  return static_cast<int>(n);
}

}  // namespace coracle::sys
