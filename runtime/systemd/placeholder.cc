#include "runtime/systemd/placeholder.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/sys/process.h"
#include "spec/error.h"

namespace coracle::systemd {

// In the child of a process with one thread; nothing is allocated, and no descriptor of ours (the
// container's lock is one) stays open.
[[noreturn]] static void sleep_until_killed(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::syscall(SYS_close_range, 0, ~0U, 0);
  for (;;) ::pause();
}

Placeholder::Placeholder() {
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw spec::Error("fork the first process of the scope", errno);
  if (pid_ == 0) sleep_until_killed(parent);
}

Placeholder::~Placeholder() { sys::end_child(pid_); }

}  // namespace coracle::systemd
