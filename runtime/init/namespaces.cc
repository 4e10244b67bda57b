// The way into the container.
//
//   runtime                     init (the sealed program, from its first instruction)
//     | clone3, execveat -------> |  in the runtime's user namespace: its memory stays out of reach
//     |                           |  of every other one, whatever it joins later (ptrace(2),
//     "access |                           |  mode checking": mm->user_ns is fixed at exec), and it
//     is not |                           |  dumpable |                           | Join namespaces
//     that exist, with the runtime's rights |                           | Unshare  a new user
//     namespace, or Join an existing one: last, |                           |          since it
//     takes the runtime's rights away | id maps                   | BecomeRoot | | Unshare  the
//     other new namespaces, or | <-- child, exit status -- | Fork     into them, where a new pid
//     namespace is among them: | Adopt                     |          nobody else is in it yet | |
//     ... the plan ... |                           | Fork     at last, where the pid namespace is
//     an existing one: | Adopt                     |          whoever is in it sees the child from
//     its birth. It has |                           |          the container's root, no descriptor
//     but the container's |                           |          and its sockets, and no more
//     rights than the container
//
// A container without user namespace, joined pid namespace and time offsets needs none of this: its
// init is born in its new namespaces by the first clone3, and joins the others by itself.
#include "runtime/init/namespaces.h"

#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#include "runtime/init/syscall.h"

namespace coracle::init {

using plan::Call;

long run(Context& c, const plan::Join& p) {
  const long r = syscall(__NR_setns, c.fd(p.slot), p.nstype);
  return r < 0 ? fail(c, Call::k_setns, r) : 0;
}

long run(Context& c, const plan::Unshare& p) {
  const long r = syscall(__NR_unshare, p.namespaces);
  return r < 0 ? fail(c, Call::k_unshare, r) : 0;
}

long run(Context& c, const plan::Dumpable& p) {
  const long r = syscall(__NR_prctl, PR_SET_DUMPABLE, p.on, 0, 0, 0);
  return r < 0 ? fail(c, Call::k_prctl, r) : 0;
}

// Neither can fail with these arguments (prctl(2)).
static void hide() {
  ignore(syscall(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0));
  ignore(syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
}

// The offsets must be written before the first process enters (time_namespaces(7)): children are in
// it, the caller is not.
long run(Context& c, const plan::TimeOffsets& p) {
  long r = syscall(__NR_unshare, CLONE_NEWTIME);
  if (r < 0) return fail(c, Call::k_unshare, r);
  const long fd = syscall(__NR_openat, AT_FDCWD, "/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fail(c, Call::k_open, fd);
  const char* text = c.str(p.text);
  size_t size = 0;
  while (text[size] != '\0') ++size;
  r = syscall(__NR_write, fd, text, size);
  close_fd(fd);
  return r < 0 ? fail(c, Call::k_write, r) : 0;
}

// No exec follows before the program's: what the user namespace gave (user_namespaces(7): all
// capabilities) is kept over the change of ids.
static long become_user(Context& c, uint32_t uid, uint32_t gid) {
  long r = syscall(__NR_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (r < 0) return fail(c, Call::k_prctl, r);
  r = syscall(__NR_setresgid, gid, gid, gid);
  if (r < 0) return fail(c, Call::k_setresgid, r);
  r = syscall(__NR_setresuid, uid, uid, uid);
  if (r < 0) return fail(c, Call::k_setresuid, r);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  r = syscall(__NR_capget, &header, data);
  for (__user_cap_data_struct& half : data) half.effective = half.permitted;
  if (r >= 0) r = syscall(__NR_capset, &header, data);
  return r < 0 ? fail(c, Call::k_capset, r) : 0;
}

// What the init makes in its file systems needs an owner inside. EINVAL: root is not mapped.
// A change of ids makes a process dumpable where fs.suid_dumpable is 1, and clears its parent-death
// signal (prctl(2)).
long run(Context& c, const plan::BecomeRoot& p) {
  long r = syscall(__NR_setresgid, 0, 0, 0);
  if (r >= 0) r = syscall(__NR_setresuid, 0, 0, 0);
  if (r == -EINVAL) r = become_user(c, p.uid, p.gid);
  if (r < 0) return c.call == Call::k_none ? fail(c, Call::k_setresuid, r) : r;
  hide();
  return 0;
}

static long clone_flags_only(uint64_t flags, int exit_signal, int32_t* parent_tid) {
  const uint64_t all = flags | static_cast<uint64_t>(exit_signal);
  return syscall(__NR_clone, all, 0, parent_tid, 0, 0);
}

long clone_process(uint64_t flags, int exit_signal, int32_t* parent_tid) {
  clone_args args{};
  args.flags = flags | (parent_tid != nullptr ? CLONE_PARENT_SETTID : 0);
  args.parent_tid = reinterpret_cast<uintptr_t>(parent_tid);
  args.exit_signal = static_cast<uint64_t>(exit_signal);
  const long r = syscall(__NR_clone3, &args, sizeof(args));
  // CLONE_NEWTIME is a number of signals to clone(2).
  if ((r != -ENOSYS && r != -EPERM) || (flags & CLONE_NEWTIME) != 0) return r;
  const long again = clone_flags_only(args.flags, exit_signal, parent_tid);
  return again < 0 && r == -EPERM ? r : again;
}

static bool parent_is_gone(const Context& c) {
  pollfd socket{c.sync, 0, 0};  // POLLHUP needs no asking
  const int64_t at_once[2] = {0, 0};
  return syscall(__NR_ppoll, &socket, 1, at_once, 0, 0) != 0;
}

static long settle_child(Context& c, const plan::Fork& p) {
  hide();
  long r = 0;
  if ((p.flags & plan::kForkSession) != 0) r = syscall(__NR_setsid);
  if (r < 0) return fail(c, Call::k_setsid, r);
  if ((p.flags & plan::kForkTerminal) == 0) return 0;
  r = syscall(__NR_ioctl, 0, TIOCSCTTY, 0);
  return r < 0 ? fail(c, Call::k_ioctl, r) : 0;
}

// CLONE_PARENT: the child is the runtime's, which waits for our end and finds its pid in the
// report.
long fork_into(Context& c, const plan::Fork& p) {
  const long pid = clone_process(p.namespaces | CLONE_PARENT, 0, &c.report->child);
  if (pid < 0) return fail(c, Call::k_clone, pid);
  if (pid > 0) exit_now(0);
  if (parent_is_gone(c)) exit_now(1);
  return settle_child(c, p);
}

// The walk forks by itself: run_step() has callers that stay one process.
long run(Context& c, const plan::Fork&) { return fail(c, Call::k_none, -ENOSYS); }

// After the init is in its cgroup, so that the root of the namespace is the container's own cgroup
// (cgroup_namespaces(7)).
long run(Context& c, const plan::CgroupNamespace&) {
  const long r = syscall(__NR_unshare, CLONE_NEWCGROUP);
  return r < 0 ? fail(c, Call::k_unshare, r) : 0;
}

}  // namespace coracle::init
