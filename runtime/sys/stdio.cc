#include "runtime/sys/stdio.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace coracle::sys {
namespace {

int write_to(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

}  // namespace

int fill_standard_fds() {
  pollfd entries[] = {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}};
  if (::poll(entries, 3, 0) == 0) return 0;
  for (const pollfd& entry : entries) {
    if (!(entry.revents & POLLNVAL)) continue;
    // The lowest free number is this one. Meant to be inherited, as a standard stream is.
    if (::open("/dev/null", O_RDWR) < 0) return -errno;
  }
  return 0;
}

int print(std::string_view text) { return write_to(STDOUT_FILENO, text); }

void print_error(std::string_view text) { write_to(STDERR_FILENO, text); }

}  // namespace coracle::sys
