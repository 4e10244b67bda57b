#include "runtime/sys/worker.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "runtime/sys/pipe.h"

namespace coracle::sys {
namespace {

constexpr int kFirstOther = kWorkerGate + 1;

// Out of the way of the numbers that are about to be given. -1 for none.
int park(const Fd* fd, int first = kFirstOther) {
  if (fd == nullptr || !*fd) return -1;
  return fd->get() >= first ? fd->get() : fcntl(fd->get(), F_DUPFD_CLOEXEC, first);
}

void place(int from, int to, int flags) {
  if (from >= 0) {
    dup3(from, to, flags);  // cannot fail: `from` is open, `to` another number below the limit
  } else {
    close(to);
  }
}

// Every signal has its default action and none is blocked, whoever called: with SIGCHLD ignored no
// child's end would be heard of (waitpid(2)). The real-time signals that libc keeps to itself too.
void reset_signals() {
  struct {  // the kernel's sigaction of 64-bit machines
    uint64_t handler, flags, restorer, mask;
  } const fresh = {};
  for (int number = 1; number <= 64; ++number)  // SIGKILL and SIGSTOP refuse: they have it
    syscall(SYS_rt_sigaction, number, &fresh, nullptr, sizeof(uint64_t));
  const uint64_t none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof(none));
}

void become_daemon(const Fd& channel) {
  setsid();  // a new process is no group leader, so it cannot fail
  reset_signals();
  umask(022);  // a caller's 0777 would make files that we may not read
  if (chdir("/") != 0) leave_worker(1);
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const int sources[4] = {park(&null), park(&null), park(&null), park(&channel)};
  for (int fd = 0; fd < 4; ++fd) place(sources[fd], fd, fd < 3 ? 0 : O_CLOEXEC);
  syscall(SYS_close_range, kDaemonChannel + 1, ~0U, 0);
}

void become_worker(const WorkerFiles& files, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != parent) leave_worker(1);  // it died before that
  int sources[kFirstOther];
  for (int i = 0; i < 3; ++i) sources[i] = park(files.stdio[i]);
  sources[kWorkerSocket] = park(files.socket);
  sources[kWorkerLog] = park(files.log);
  sources[kWorkerGate] = park(files.gate);
  for (int fd = 0; fd < kFirstOther; ++fd) place(sources[fd], fd, fd < 3 ? 0 : O_CLOEXEC);
  syscall(SYS_close_range, kFirstOther, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

// `report` is told errno if the program cannot be executed, and closed if it can.
[[noreturn]] void become_program(char** argv, char** envp, const std::vector<const Fd*>& files,
                                 const Fd& report) {
  setsid();
  const int count = 3 + static_cast<int>(files.size());
  const int told = park(&report, count + 1);
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  std::vector<int> sources(3, park(&null, count + 1));
  for (const Fd* file : files) sources.push_back(park(file, count + 1));
  for (int fd = 0; fd < count; ++fd) place(sources[static_cast<size_t>(fd)], fd, 0);
  syscall(SYS_close_range, count, ~0U, CLOSE_RANGE_CLOEXEC);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(argv[0], argv, envp);
  const int error = errno;
  // Should it fail, the program seems to have started and to have ended at once.
  if (write(told, &error, sizeof(error)) < 0) leave_worker(126);
  leave_worker(127);
}

}  // namespace

int start_with_files(const std::vector<std::string>& argv, const std::vector<std::string>& envp,
                     const std::vector<const Fd*>& files, pid_t& pid) {
  Fd reader, writer;
  if (int r = make_pipe(reader, writer)) return r;
  std::vector<char*> args = pointers(argv), env = pointers(envp);
  pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) become_program(args.data(), env.data(), files, writer);
  writer.reset();
  int error = 0;
  ssize_t n;
  do {
    n = read(reader.get(), &error, sizeof(error));
  } while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(sizeof(error)) ? -error : 0;
}

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
