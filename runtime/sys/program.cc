#include "runtime/sys/program.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <vector>

#include "runtime/sys/child_stack.h"
#include "runtime/sys/mount_api.h"
#include "runtime/sys/process.h"

namespace coracle::sys {
namespace {

// What parent and child share: in memory that stays shared where the child has a copy of the rest.
struct Outcome {
  const char* call;  // a literal, so it means the same on both sides
  int error;         // errno; 0: the program runs
  pid_t pid;
  int pidfd;
};

struct Child {
  const Program* program;
  Outcome* outcome;
  int parent;      // pidfd of the parent
  const int* fds;  // become 0, 1, ...; all above those numbers
  int fd_count;
};

// Everything from here to start_program runs in the child: no allocation, no lock, no libc state
// but errno, which is the suspended parent's to lose.

[[noreturn]] void leave(const Child& c, const char* call) {
  c.outcome->call = call;
  c.outcome->error = errno;
  syscall(SYS_exit_group, 127);
  __builtin_unreachable();
}

void reset_signals() {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  // The C library keeps two numbers for itself and refuses them; they are never ignored.
  for (int signal = 1; signal <= SIGRTMAX; ++signal) sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// A change of credentials clears the death signal (prctl(2)), so this comes after. The parent may
// have died before it was set, and getppid() tells nothing across pid namespaces.
void die_with_parent(const Child& c) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) leave(c, "prctl");
  pollfd parent = {c.parent, POLLIN, 0};
  if (poll(&parent, 1, 0) > 0) syscall(SYS_exit_group, 127);
}

// Slave to ours: what the host mounts and unmounts later is seen, and nothing goes back.
void cover(const Child& c, const Place& to) {
  mount_attr attr = {};
  attr.propagation = MS_SLAVE;
  if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) != 0)
    leave(c, "mount_setattr");
  for (int i = 0; i < to.cover_count; ++i) {
    const Cover& one = to.covers[i];
    if (syscall(SYS_move_mount, one.tree->get(), "", AT_FDCWD, one.path, MOVE_MOUNT_F_EMPTY_PATH) !=
        0)
      leave(c, "move_mount");
  }
}

void enter(const Child& c, const Place& to) {
  if (to.cgroup) {
    const int procs = openat(to.cgroup->get(), "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (procs < 0 || write(procs, "0", 1) != 1) leave(c, "cgroup.procs");
    close(procs);
  }
  if (to.unshare && unshare(static_cast<int>(to.unshare)) != 0) leave(c, "unshare");
  if (to.unshare & CLONE_NEWNS) cover(c, to);
}

void place(const Child& c, const Program& p) {
  if (p.place) enter(c, *p.place);
  if (!(p.place && p.place->same_group) && setpgid(0, 0) != 0) leave(c, "setpgid");
  for (int fd = 0; fd < c.fd_count; ++fd) {
    if (dup2(c.fds[fd], fd) < 0) leave(c, "dup2");
  }
  if (p.directory && chdir(p.directory) != 0) leave(c, "chdir");
}

[[noreturn]] void become(const Child& c) {
  const Program& p = *c.program;
  reset_signals();
  place(c, p);
  if (syscall(SYS_close_range, c.fd_count, ~0U, CLOSE_RANGE_CLOEXEC) != 0) leave(c, "close_range");
  if (!p.place || !p.place->outlives) die_with_parent(c);
  syscall(SYS_execve, p.path, p.argv, p.envp);
  leave(c, "execve");
}

int child_main(void* argument) { become(*static_cast<Child*>(argument)); }

// ---- the parent's side ----

using SharedPages = ChildStack<Outcome>;

// No handler of ours may run in a child that shares our memory.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// In our namespaces: our memory is borrowed until the exec, as by vfork(2).
int clone_here(Child& child, SharedPages& pages) {
  int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
  pid_t pid = clone(child_main, pages.top(), flags, &child, &child.outcome->pidfd);
  if (pid < 0) return -errno;
  child.outcome->pid = pid;
  return 0;
}

// Copies of what the program gets as 0, 1, ..., all above those numbers: dup2 must not overwrite
// what is still to be duplicated.
class Copies {
 public:
  explicit Copies(const Program& p) {
    const int further = p.place ? p.place->further_count : 0;
    for (const Fd* fd : {p.input, p.output, p.error}) add(*fd, 3 + further);
    for (int i = 0; i < further; ++i) add(*p.place->further[i], 3 + further);
  }
  int error() const { return error_; }
  const int* numbers() const { return numbers_.data(); }
  int count() const { return static_cast<int>(numbers_.size()); }

 private:
  void add(const Fd& fd, int above) {
    const int copy = fcntl(fd.get(), F_DUPFD_CLOEXEC, above);
    if (copy < 0) error_ = -errno;
    numbers_.push_back(copy);
    owners_.emplace_back(copy);
  }
  std::vector<int> numbers_;
  std::vector<Fd> owners_;
  int error_ = 0;
};

int fail(Started& started, std::string call, int result) {
  started.call = std::move(call);
  return result;
}

}  // namespace

int start_program(const Program& program, Started& started) {
  SharedPages pages;
  if (!pages) return fail(started, "mmap", -errno);
  Fd parent = pidfd_open(getpid());
  if (!parent) return fail(started, "pidfd_open", -parent.error());
  const Copies copies(program);
  if (copies.error()) return fail(started, "dup", copies.error());
  *pages.outcome() = {"", 0, 0, -1};
  Child child = {&program, pages.outcome(), parent.get(), copies.numbers(), copies.count()};
  int r = 0;
  {
    SignalsBlocked blocked;
    r = clone_here(child, pages);
  }
  if (r < 0) return fail(started, "clone", r);
  const Outcome& outcome = *pages.outcome();
  started.pidfd = Fd(outcome.pidfd);
  started.pid = outcome.pid;
  if (outcome.error == 0) return 0;
  end_child(outcome.pid);
  started.pidfd.reset();
  return fail(started, outcome.call, -outcome.error);
}

}  // namespace coracle::sys
