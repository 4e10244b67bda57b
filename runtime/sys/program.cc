#include "runtime/sys/program.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <vector>

#include "runtime/sys/child_stack.h"
#include "runtime/sys/mount_api.h"
#include "runtime/sys/process.h"

namespace coracle::sys {
namespace {

constexpr int kLastCapability = 63;

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

void become_root_inside(const Child& c) {
  // Refused where setgroups is denied for the user namespace (user_namespaces(7)): nothing to drop.
  if (syscall(SYS_setgroups, 0, nullptr) != 0 && errno != EPERM) leave(c, "setgroups");
  // EINVAL: the namespace maps no root, and the program runs as who we are.
  if (syscall(SYS_setresgid, 0, 0, 0) != 0 && errno != EINVAL) leave(c, "setresgid");
  if (syscall(SYS_setresuid, 0, 0, 0) != 0 && errno != EINVAL) leave(c, "setresuid");
}

void drop_bounding(const Child& c, uint64_t keep) {
  for (int cap = 0; cap <= kLastCapability; ++cap) {
    if (keep >> cap & 1) continue;
    // EINVAL: the kernel has no more capabilities.
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EINVAL) leave(c, "prctl");
  }
}

void set_capabilities(const Child& c, const Confinement& to) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int half = 0; half < 2; ++half) {
    data[half].effective = static_cast<uint32_t>(to.effective >> (32 * half));
    data[half].permitted = static_cast<uint32_t>(to.permitted >> (32 * half));
    data[half].inheritable = static_cast<uint32_t>(to.inheritable >> (32 * half));
  }
  if (syscall(SYS_capset, &header, data) != 0) leave(c, "capset");
  for (int cap = 0; cap <= kLastCapability; ++cap) {
    if (!(to.ambient >> cap & 1)) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) != 0) leave(c, "prctl");
  }
}

void load_filter(const Child& c, const Confinement& to) {
  if (to.filter_size == 0) return;
  sock_fprog filter = {static_cast<unsigned short>(to.filter_size),
                       reinterpret_cast<sock_filter*>(const_cast<uint64_t*>(to.filter))};
  long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, to.filter_flags, &filter);
  if (r != 0) leave(c, "seccomp");
}

// The filter goes in while we still may, unless no_new_privs lets everybody: then it is last, so
// that it need not allow what stands here.
void confine(const Child& c, const Confinement& to) {
  if (to.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) leave(c, "prctl");
  if (!to.no_new_privileges) load_filter(c, to);
  drop_bounding(c, to.bounding);
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) leave(c, "prctl");
  if (syscall(SYS_setgroups, to.group_count, to.groups) != 0 &&
      (errno != EPERM || to.group_count != 0)) {
    leave(c, "setgroups");
  }
  if (syscall(SYS_setresgid, to.gid, to.gid, to.gid) != 0) leave(c, "setresgid");
  if (syscall(SYS_setresuid, to.uid, to.uid, to.uid) != 0) leave(c, "setresuid");
  set_capabilities(c, to);
  die_with_parent(c);
  if (to.no_new_privileges) load_filter(c, to);
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
  if (p.join && p.join->root && (fchdir(p.join->root->get()) != 0 || chroot(".") != 0)) {
    leave(c, "chroot");
  }
  if (p.join && (p.join->namespaces & CLONE_NEWUSER)) become_root_inside(c);
  if (p.open_directory && fchdir(p.open_directory->get()) != 0) leave(c, "fchdir");
  if (p.directory && chdir(p.directory) != 0) leave(c, "chdir");
}

[[noreturn]] void become(const Child& c) {
  const Program& p = *c.program;
  reset_signals();
  place(c, p);
  if (syscall(SYS_close_range, c.fd_count, ~0U, CLOSE_RANGE_CLOEXEC) != 0) leave(c, "close_range");
  if (p.join && p.join->confine) {
    confine(c, *p.join->confine);
  } else if (!p.place || !p.place->outlives) {
    die_with_parent(c);
  }
  if (p.executable) {
    syscall(SYS_execveat, p.executable->get(), "", p.argv, p.envp, AT_EMPTY_PATH);
    if (!p.or_path || errno != ENOENT) leave(c, "execveat");
  }
  syscall(SYS_execve, p.path, p.argv, p.envp);
  leave(c, "execve");
}

int child_main(void* argument) { become(*static_cast<Child*>(argument)); }

// The launcher joins, then clones the program's process as its own sibling: a pid namespace is
// entered by children only. It shares our descriptors, so that the pidfd is ours.
[[noreturn]] void join_and_clone(const Child& c) {
  const Join& join = *c.program->join;
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) leave(c, "prctl");
  if (join.namespaces && setns(join.pidfd->get(), static_cast<int>(join.namespaces)) != 0) {
    leave(c, "setns");
  }
  clone_args args = {};
  args.flags = CLONE_PARENT | CLONE_VFORK | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uintptr_t>(&c.outcome->pidfd);
  long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid == 0) become(c);
  if (pid < 0) leave(c, "clone3");
  c.outcome->pid = static_cast<pid_t>(pid);
  syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

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

int reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR) {
  }
  return status;
}

// In our namespaces: our memory is borrowed until the exec, as by vfork(2).
int clone_here(Child& child, SharedPages& pages) {
  int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
  pid_t pid = clone(child_main, pages.top(), flags, &child, &child.outcome->pidfd);
  if (pid < 0) return -errno;
  child.outcome->pid = pid;
  return 0;
}

// Elsewhere: in memory of its own, as "dumpable" and the credentials' effect on it belong to that.
// `status`: how the launcher ended.
int clone_launcher(Child& child, int& status) {
  const Join& join = *child.program->join;
  clone_args args = {};
  args.flags = CLONE_VFORK | CLONE_FILES;
  args.exit_signal = SIGCHLD;
  if (join.cgroup) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(join.cgroup->get());
  }
  long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid == 0) join_and_clone(child);
  if (pid < 0) return -errno;
  status = reap(static_cast<pid_t>(pid));
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
  int r = 0, launcher = 0;
  {
    SignalsBlocked blocked;
    r = program.join ? clone_launcher(child, launcher) : clone_here(child, pages);
  }
  if (r < 0) return fail(started, "clone", r);
  const Outcome& outcome = *pages.outcome();
  started.pidfd = Fd(outcome.pidfd);
  started.pid = outcome.pid;
  if (outcome.error == 0 && outcome.pid != 0) return 0;
  if (outcome.pid != 0) reap(outcome.pid);
  started.pidfd.reset();
  if (outcome.error == 0)
    return fail(started, "the launcher ended early: " + how_ended(launcher), -ECHILD);
  return fail(started, outcome.call, -outcome.error);
}

}  // namespace coracle::sys
