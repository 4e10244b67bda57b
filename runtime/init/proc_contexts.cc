// A procfs shows the pid namespace of the process that called fsopen(2) for it
// (proc_init_fs_context in the kernel). Where the container joins an existing pid namespace, the
// init stays outside of it to the end, since what is inside may have every right over what it sees
// there. So a process that has nothing to lose calls fsopen(2) inside, and sends what it got;
// mounting it takes rights over the pid namespace, which the init has and the other has not.
//
//   init            helper                                        inside
//    | fork -------> | an empty root in a mount namespace of its
//    |               | own, no descriptor but the socket
//    |               | setns(pid namespace), filter
//    |               | clone3(new namespaces) --------------------> | fsopen("proc") for each
//    | <------------ | ------------------- descriptors ------------ | sendmsg
//
// The filter allows the process inside nothing but these calls: to seize it is to have one more
// fsopen(2). What comes out is checked (fstatfs(2)) before it is used. An ordinary user has no
// rights to shed; what his process inside could lose is not there, and it is not dumpable in a user
// namespace that the container has no rights over.
#include <asm/errno.h>
#include <asm/statfs.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/signal.h>

#include "runtime/init/init.h"
#include "runtime/init/namespaces.h"
#include "runtime/init/socket.h"
#include "runtime/init/syscall.h"

namespace coracle::init {

using plan::Call;

namespace {

// Not even a namespace file of it leads anywhere.
constexpr uint64_t kEverythingOwn =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
constexpr int kDetach = 2;  // MNT_DETACH (umount2(2); in no kernel header)
constexpr int kAfUnix = 1, kSeqpacketCloexec = 5 | 02000000;

// By number alone: a call of another architecture has rights no greater.
constexpr sock_filter kFilter[] = {
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},  // seccomp_data.nr
    {BPF_JMP | BPF_JEQ | BPF_K, 5, 0, __NR_fsopen},
    {BPF_JMP | BPF_JEQ | BPF_K, 4, 0, __NR_sendmsg},
    {BPF_JMP | BPF_JEQ | BPF_K, 3, 0, __NR_clone3},
    {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, __NR_wait4},
    {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, __NR_exit_group},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
};

void check(long result) {
  if (result < 0) exit_now(static_cast<int>(-result));
}

// Nothing of the host below "/".
void enter_empty_root() {
  check(syscall(__NR_unshare, CLONE_NEWNS));
  mount_attr attr{};
  attr.propagation = 1UL << 18;  // MS_PRIVATE
  check(syscall(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)));
  const long fs = syscall(__NR_fsopen, "tmpfs", FSOPEN_CLOEXEC);
  check(fs);
  check(syscall(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0));
  const long tree = syscall(__NR_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
  check(tree);
  check(syscall(__NR_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
  check(syscall(__NR_fchdir, tree));
  check(syscall(__NR_pivot_root, ".", "."));
  check(syscall(__NR_umount2, ".", kDetach));
}

// Everything but `fd`, which becomes 0.
void keep_only(long fd) {
  check(syscall(__NR_dup3, fd, 0, 0));
  check(syscall(__NR_close_range, 1, ~0U, 0));
}

void load_filter() {
  const struct sock_fprog program {
    sizeof(kFilter) / sizeof(kFilter[0]), const_cast<sock_filter*>(kFilter)
  };
  check(syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  check(syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

[[noreturn]] void open_contexts(int socket, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const long fs = syscall(__NR_fsopen, "proc", FSOPEN_CLOEXEC);
    check(fs);
    check(send_with_fd(socket, "", 1, static_cast<int>(fs)));
  }
  exit_now(0);
}

// The exit status of `pid`, an errno or 0; or -errno.
long wait_for(long pid) {
  int status = 0;
  long r;
  do {
    r = syscall(__NR_wait4, pid, &status, 0, 0);
  } while (r == -EINTR);
  if (r < 0) return r;
  return (status & 0x7f) != 0 ? -EIO : -((status >> 8) & 0xff);
}

[[noreturn]] void run_helper(int pids, int socket, uint32_t count) {
  enter_empty_root();
  check(syscall(__NR_setns, pids, CLONE_NEWPID));
  keep_only(socket);
  load_filter();
  const long inside = clone_process(kEverythingOwn, SIGCHLD, nullptr);
  check(inside);
  if (inside == 0) open_contexts(0, count);
  exit_now(static_cast<int>(-wait_for(inside)));
}

[[noreturn]] void run_users_helper(int user, int pids, int socket, uint32_t count) {
  check(syscall(__NR_setns, user, CLONE_NEWUSER));
  check(syscall(__NR_unshare, CLONE_NEWNS));
  check(syscall(__NR_setns, pids, CLONE_NEWPID));
  const long inside = clone_process(0, SIGCHLD, nullptr);
  check(inside);
  if (inside == 0) open_contexts(socket, count);
  exit_now(static_cast<int>(-wait_for(inside)));
}

long take_contexts(Context& c, plan::List slots, long socket) {
  for (uint32_t i = 0; i < slots.count; ++i) {
    const long fd = receive_fd(static_cast<int>(socket));
    if (fd < 0) return fail(c, Call::k_read, fd, i);
    c.fd(c.list<plan::Slot>(slots)[i]) = static_cast<int>(fd);
  }
  return 0;
}

}  // namespace

long run(Context& c, const plan::ProcContexts& p) {
  int pair[2];
  long r = syscall(__NR_socketpair, kAfUnix, kSeqpacketCloexec, 0, pair);
  if (r < 0) return fail(c, Call::k_socket, r);
  const long pid = clone_process(0, SIGCHLD, nullptr);
  if (pid == 0 && p.user == plan::kNoSlot) run_helper(c.fd(p.pids), pair[1], p.slots.count);
  if (pid == 0) run_users_helper(c.fd(p.user), c.fd(p.pids), pair[1], p.slots.count);
  close_fd(pair[1]);
  if (pid > 0) {
    r = wait_for(pid);
    r = r < 0 ? fail(c, Call::k_fsopen, r) : take_contexts(c, p.slots, pair[0]);
  } else {
    r = fail(c, Call::k_clone, pid);
  }
  close_fd(pair[0]);
  return r;
}

}  // namespace coracle::init
