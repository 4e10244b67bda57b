#include "runtime/sys/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sys/mount_api.h"

namespace coracle::sys {

uint64_t mount_id(const char* path) {
  struct statx st;
  if (syscall(SYS_statx, AT_FDCWD, path, 0, STATX_MNT_ID, &st) < 0) return 0;
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

static Fd result(long fd_or_error) {
  return Fd(fd_or_error < 0 ? -errno : static_cast<int>(fd_or_error));
}

static int configure(const Fd& fs, const FsOptions& options) {
  for (const auto& [key, value] : options) {
    const unsigned command = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
    if (syscall(SYS_fsconfig, fs.get(), command, key.c_str(), value, 0) < 0) return -errno;
  }
  return syscall(SYS_fsconfig, fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0 ? -errno : 0;
}

// The context keeps messages of the form "e overlay: text" to be read, one a read(2).
static std::string last_words(const Fd& fs) {
  char text[512];
  std::string words;
  for (ssize_t n; (n = ::read(fs.get(), text, sizeof(text))) > 2;) {
    if (text[0] == 'e') words.assign(text + 2, static_cast<size_t>(n - 2));
  }
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return words;
}

Fd new_filesystem(const char* type, const FsOptions& options, uint64_t attributes,
                  std::string& words) {
  Fd fs = result(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
  if (!fs) return fs;
  const int r = configure(fs, options);
  if (r < 0) {
    words = last_words(fs);
    return Fd(r);
  }
  return result(syscall(SYS_fsmount, fs.get(), FSMOUNT_CLOEXEC, attributes));
}

Fd clone_mount(const char* path, bool recursive) {
  const unsigned deep = recursive ? AT_RECURSIVE : 0;
  return result(syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep));
}

static int set_attributes(const Fd& mount, mount_attr attr, bool recursive) {
  const unsigned deep = recursive ? AT_RECURSIVE : 0;
  const long r =
      syscall(SYS_mount_setattr, mount.get(), "", AT_EMPTY_PATH | deep, &attr, sizeof(attr));
  return r < 0 ? -errno : 0;
}

int change_mount(const Fd& mount, uint64_t set, uint64_t clear, bool recursive) {
  struct mount_attr attr {};
  attr.attr_set = set;
  attr.attr_clr = clear;
  return set_attributes(mount, attr, recursive);
}

int map_mount_ids(const Fd& mount, const Fd& userns, bool recursive) {
  struct mount_attr attr {};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.userns_fd = static_cast<uint64_t>(userns.get());
  return set_attributes(mount, attr, recursive);
}

int leave_mount_namespace() {
  if (unshare(CLONE_NEWNS) < 0) return -errno;
  struct mount_attr attr {};
  attr.propagation = MS_PRIVATE;
  const long r = syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr));
  return r < 0 ? -errno : 0;
}

int enter_mount_namespace(const Fd& ns) { return setns(ns.get(), CLONE_NEWNS) < 0 ? -errno : 0; }

int attach_mount(const Fd& mount, const Fd& directory) {
  const long r = syscall(SYS_move_mount, mount.get(), "", directory.get(), "",
                         MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  return r < 0 ? -errno : 0;
}

}  // namespace coracle::sys
