// The container's root: from a detached tree to "/" of the new mount namespace.
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "runtime/init/detached.h"
#include "runtime/init/paths.h"
#include "runtime/init/syscall.h"

namespace coracle::init {

using plan::Call;

// Mounts made from here on must not appear on the host, and pivot_root(2) refuses a shared parent.
long run(Context& c, const plan::PropagationRoot& p) {
  mount_attr attr{};
  attr.propagation = p.propagation;
  const long r = syscall(__NR_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr));
  return r < 0 ? fail(c, Call::k_mount_setattr, r) : 0;
}

// The place of the rootfs in this mount namespace. Where the path cannot be walked (mapped root of
// a user namespace has no right of its own on the host's directories), "/" does as well: the
// process's own root stays the host's until the pivot.
static long attach_at(long tree, const char* path) {
  const long r = syscall(__NR_move_mount, tree, "", AT_FDCWD, path,
                         MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS);
  if (r != -EACCES) return r;
  return syscall(__NR_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
}

// Absolute paths still mean the host's files afterwards; everything of the container is reached by
// the fd, and createContainer hooks find it as our working directory.
long run(Context& c, const plan::AttachRoot& p) {
  const long tree = c.fd(p.slot);
  const long r = attach_at(tree, c.str(p.path));
  if (r < 0) return fail(c, Call::k_move_mount, r);
  c.root = static_cast<int>(tree);
  c.fd(p.slot) = -1;
  const long moved = syscall(__NR_fchdir, tree);
  return moved < 0 ? fail(c, Call::k_chdir, moved) : 0;
}

// Without a pivot the host's mounts stay below the container's root. A user namespace made inside
// may mount a new procfs or sysfs only where an unhidden one is to be seen, so those of the host
// go.
static void unmount_all_at(const char* path) {
  for (int i = 0; i < 16 && syscall(__NR_umount2, path, kDetach) == 0; ++i) {
  }
}

static long enter_by_chroot(Context& c) {
  unmount_all_at("/proc");
  unmount_all_at("/sys");
  long r = syscall(__NR_move_mount, c.root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
  if (r < 0 && r != -ELOOP) return fail(c, Call::k_move_mount, r);  // ELOOP: it is there already
  r = syscall(__NR_chroot, ".");
  return r < 0 ? fail(c, Call::k_chroot, r) : 0;
}

static long enter_among_host_mounts(Context& c) {
  const long r = syscall(__NR_chroot, ".");
  return r < 0 ? fail(c, Call::k_chroot, r) : 0;
}

// Old root and new root are stacked on the same place: no directory of the image is needed for the
// old one (pivot_root(2), "pivot_root(".", ".")").
static long enter_by_pivot(Context& c) {
  long r = syscall(__NR_pivot_root, ".", ".");
  if (r < 0) return fail(c, Call::k_pivot_root, r);
  r = syscall(__NR_umount2, ".", kDetach);
  return r < 0 ? fail(c, Call::k_umount, r) : 0;
}

long run(Context& c, const plan::PivotRoot& p) {
  drop_parent(c);
  long r;
  if ((p.flags & plan::kPivotHostMounts) != 0) {
    r = enter_among_host_mounts(c);
  } else {
    r = (p.flags & plan::kPivotChroot) != 0 ? enter_by_chroot(c) : enter_by_pivot(c);
  }
  if (r < 0) return r;
  r = syscall(__NR_chdir, "/");
  if (r < 0) return fail(c, Call::k_chdir, r);
  // What led to the host's tree, or is needed no more; gone for good before the program runs.
  if (p.null != plan::kNoSlot) {
    done_with(c, c.fd(p.null));
    c.fd(p.null) = -1;
  }
  done_with(c, c.mask_tmpfs);
  c.mask_tmpfs = -1;
  return 0;
}

long run(Context& c, const plan::EnterRoot& p) {
  long r = syscall(__NR_fchdir, c.fd(p.slot));
  if (r < 0) return fail(c, Call::k_chdir, r);
  r = enter_among_host_mounts(c);
  if (r < 0) return r;
  r = p.directory != plan::kNoSlot ? syscall(__NR_fchdir, c.fd(p.directory))
                                   : syscall(__NR_chdir, "/");
  return r < 0 ? fail(c, Call::k_chdir, r) : 0;
}

long run(Context& c, const plan::RootAttr& p) { return set_attrs(c, c.root, p.attrs); }

}  // namespace coracle::init
