#include "runtime/sys/worker.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace coracle::sys {
namespace {

constexpr int kFirstOther = kWorkerLog + 1;

// Out of the way of the numbers that are about to be given. -1 for none.
int park(const Fd* fd) {
  if (fd == nullptr || !*fd) return -1;
  return fd->get() >= kFirstOther ? fd->get() : fcntl(fd->get(), F_DUPFD_CLOEXEC, kFirstOther);
}

void place(int from, int to, int flags) {
  if (from >= 0) {
    dup3(from, to, flags);  // cannot fail: `from` is open, `to` another number below the limit
  } else {
    close(to);
  }
}

void become_daemon(const Fd& channel) {
  setsid();  // a new process is no group leader, so it cannot fail
  if (chdir("/") != 0) leave_worker(1);
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const int sources[4] = {park(&null), park(&null), park(&null), park(&channel)};
  for (int fd = 0; fd < 4; ++fd) place(sources[fd], fd, fd < 3 ? 0 : O_CLOEXEC);
  syscall(SYS_close_range, kDaemonChannel + 1, ~0U, 0);
}

void become_worker(const WorkerFiles& files, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != parent) leave_worker(1);  // it died before that
  int sources[5];
  for (int i = 0; i < 3; ++i) sources[i] = park(files.stdio[i]);
  sources[kWorkerSocket] = park(files.socket);
  sources[kWorkerLog] = park(files.log);
  for (int fd = 0; fd < kFirstOther; ++fd) place(sources[fd], fd, fd < 3 ? 0 : O_CLOEXEC);
  syscall(SYS_close_range, kFirstOther, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

pid_t fork_worker(const WorkerFiles& files) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) become_worker(files, parent);
  return pid;
}

pid_t fork_daemon(const Fd& channel) {
  const pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) become_daemon(channel);
  return pid;
}

void leave_worker(int status) {
  syscall(SYS_exit_group, status);
  __builtin_unreachable();
}

}  // namespace coracle::sys
