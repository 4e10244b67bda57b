#include "runtime/sys/signals.h"

#include <signal.h>

#include <cerrno>

namespace coracle::sys {

int own_signals() {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  if (::sigaction(SIGCHLD, &standard, nullptr) != 0) return -errno;
  sigset_t none;
  ::sigemptyset(&none);
  return ::sigprocmask(SIG_SETMASK, &none, nullptr) != 0 ? -errno : 0;
}

}  // namespace coracle::sys
