#include "runtime/sys/lock.h"

#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"

namespace coracle::sys {

// Polled, with growing pauses: flock has no timeout of its own, and an alarm would be a change of
// signal dispositions that a shim with many containers cannot allow itself.
int lock_exclusive(const Fd& file, int timeout_ms) {
  constexpr int kLongestPause = 20;  // ms
  for (int waited = 0, pause = 1;;) {
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return -errno;
    if (waited >= timeout_ms) return -ETIMEDOUT;
    timespec span = {0, pause * 1000000L};
    ::nanosleep(&span, nullptr);  // cut short by a signal: tried again a little earlier
    waited += pause;
    pause = std::min(pause * 2, kLongestPause);
  }
}

int unlock(const Fd& file) { return ::flock(file.get(), LOCK_UN) ? -errno : 0; }

// Lines look like "1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF"; waiters have "->" in front of
// the kind. The device is not compared: stacked file systems show another one than stat(2) does.
pid_t lock_holder(const Fd& file) {
  struct stat st;
  std::string text;
  if (stat_fd(file, st) || read_file(At::cwd(), "/proc/locks", text)) return 0;
  for (char* rest = text.data(); char* line = ::strsep(&rest, "\n");) {
    int pid = 0;
    unsigned long inode = 0;
    // NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit
    if (::sscanf(line, "%*u: FLOCK %*s WRITE %d %*x:%*x:%lu", &pid, &inode) != 2) continue;
    if (inode == st.st_ino) return pid;
  }
  return 0;
}

}  // namespace coracle::sys
