#include "runtime/sys/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace coracle::sys {

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U
#endif

uint64_t mount_id(const char* path) {
  struct statx st;
  if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) < 0) return 0;
  return st.stx_mnt_id;
}

Fd executable_clone(const Fd& directory) {
  const long tree = syscall(SYS_open_tree, directory.get(), "",
                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (tree < 0) return Fd(-errno);
  Fd detached(static_cast<int>(tree));
  struct mount_attr attr {};
  attr.attr_set = MOUNT_ATTR_RDONLY;
  attr.attr_clr = MOUNT_ATTR_NOEXEC;
  if (syscall(SYS_mount_setattr, detached.get(), "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
    return Fd(-errno);
  return detached;
}

Fd slave_clone(const char* path, bool recursive) {
  const unsigned depth = recursive ? AT_RECURSIVE : 0;
  const long tree =
      syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth);
  if (tree < 0) return Fd(-errno);
  Fd detached(static_cast<int>(tree));
  struct mount_attr attr {};
  attr.propagation = MS_SLAVE;
  if (syscall(SYS_mount_setattr, detached.get(), "", AT_EMPTY_PATH | depth, &attr, sizeof(attr)) <
      0)
    return Fd(-errno);
  return detached;
}

int unmount(const char* path) {
  return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

}  // namespace coracle::sys
