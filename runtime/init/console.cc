// The terminal: a pty from the container's own devpts becomes stdio and /dev/console.
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/statfs.h>
#include <asm/termios.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>

#include "runtime/init/descriptor.h"
#include "runtime/init/init.h"
#include "runtime/init/open.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

namespace {

bool is_devpts(long fd) {
  struct statfs fs {};
  return syscall(__NR_fstatfs, fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC;
}

// No symlink on the way, and the file system says itself that it is a devpts: whatever the image
// put at /dev/pts, a pty comes out of this (CVE-2025-52565).
long open_master(Context& c, long root) {
  const long fd = open_at(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY, kStrict);
  if (fd < 0) {
    detail(c).put("/dev/pts/ptmx");
    return fail(c, Call::k_openat2, fd);
  }
  if (is_devpts(fd)) return fd;
  close_fd(fd);
  detail(c).put("/dev/pts is not a devpts");
  return fail(c, Call::k_verify, -ENOTTY);
}

// The other end by TIOCGPTPEER (Linux 4.13), not by its name.
long open_peer(Context& c, long master) {
  const int unlocked = 0;
  long r = syscall(__NR_ioctl, master, TIOCSPTLCK, &unlocked);
  if (r >= 0) r = syscall(__NR_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return r < 0 ? fail(c, Call::k_ioctl, r) : r;
}

long dress(Context& c, const plan::Console& p, long peer) {
  long r = 0;
  if ((p.flags & plan::kConsoleSetSize) != 0) {
    const winsize size{p.height, p.width, 0, 0};
    r = syscall(__NR_ioctl, peer, TIOCSWINSZ, &size);
    if (r < 0) return fail(c, Call::k_ioctl, r);
  }
  r = syscall(__NR_fchown, peer, p.uid, -1);
  return r < 0 ? fail(c, Call::k_chown, r) : 0;
}

// /dev/console, made if missing; never a symlink.
long open_target(long root) {
  long fd = open_at(root, "dev/console", O_PATH, kStrict);
  if (fd != -ENOENT) return fd;
  fd = open_at(root, "dev/console", O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, kStrict, 0600);
  if (fd < 0 && fd != -EEXIST) return fd;
  close_fd(fd);
  return open_at(root, "dev/console", O_PATH, kStrict);
}

long bind_console(Context& c, long root, long peer) {
  const long tree =
      syscall(__NR_open_tree, peer, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (tree < 0) return fail(c, Call::k_open_tree, tree);
  long r = open_target(root);
  if (r < 0) {
    detail(c).put("/dev/console");
    fail(c, Call::k_openat2, r);
  } else {
    const long target = r;
    r = syscall(__NR_move_mount, tree, "", target, "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    if (r < 0) fail(c, Call::k_move_mount, r);
    close_fd(target);
  }
  close_fd(tree);
  return r < 0 ? r : 0;
}

// The peer becomes fds 0 to 2; its own number goes, unless it is one of them.
long become_stdio(Context& c, long peer) {
  for (int fd = 0; fd <= 2; ++fd) {
    const long r =
        fd == peer ? syscall(__NR_fcntl, fd, F_SETFD, 0) : syscall(__NR_dup3, peer, fd, 0);
    if (r < 0) return fail(c, Call::k_dup, r);
  }
  if (peer > 2) close_fd(peer);
  return 0;
}

long use_peer(Context& c, const plan::Console& p, long root, long peer) {
  long r = dress(c, p, peer);
  if (r >= 0 && (p.flags & plan::kConsoleBind) != 0) r = bind_console(c, root, peer);
  if (r < 0 || (p.flags & plan::kConsoleLater) != 0) return r;
  r = syscall(__NR_ioctl, peer, TIOCSCTTY, 0);
  return r < 0 ? fail(c, Call::k_ioctl, r) : 0;
}

// What the receiver of the master may show: the name that the container knows it by.
void tell_name(Context& c, long master) {
  unsigned number = 0;
  if (syscall(__NR_ioctl, master, TIOCGPTN, &number) < 0) return;  // only a name
  detail(c).put("/dev/pts/").number(number);
}

}  // namespace

// TIOCSCTTY is for the leader of a session: after SetSession, or in Fork.
long run(Context& c, const plan::Console& p) {
  const RootDir root(c);
  if (root.fd() < 0) return fail(c, Call::k_open, root.fd());
  const long master = open_master(c, root.fd());
  if (master < 0) return master;
  const long peer = open_peer(c, master);
  long r = peer < 0 ? peer : use_peer(c, p, root.fd(), peer);
  if (r >= 0) r = become_stdio(c, peer);
  if (r < 0) {
    close_fd(peer);
    close_fd(master);
    return r;
  }
  tell_name(c, master);
  return hand_over(c, &p, master);
}

}  // namespace coracle::init
