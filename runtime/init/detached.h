// Detached mounts: trees that no path leads to until one move_mount(2) puts them where they belong,
// complete with their attributes. There is no moment in which a half-made mount can be used.
#pragma once

#include "runtime/init/init.h"

namespace coracle::init {

// open_tree(2) with OPEN_TREE_CLONE. `path` may be "" with AT_EMPTY_PATH in `flags`. The fd, or
// -errno with c.call set. The kernel clones only what is mounted in the caller's mount namespace.
long clone_tree(Context& c, long dir, const char* path, unsigned flags);

// Each SetAttr of the list by one mount_setattr(2), in order; c.extra is the failing element.
long set_attrs(Context& c, long mount, plan::List attrs);

// One mount_setattr(2) that sets flags; `flags` is 0 or AT_RECURSIVE.
long set_attr(Context& c, long mount, uint64_t attr, unsigned flags);

// Puts the tree onto the target's fd.
long attach(Context& c, long tree, long target);

inline constexpr int kDetach = 2;  // MNT_DETACH (umount2(2); in no kernel header)

// A new tmpfs with MOUNT_ATTR_* `attrs`. `label`: SELinux context, or null.
long new_tmpfs(Context& c, const char* label, uint64_t attrs);

// A new empty tmpfs, read-only and without devices, programs or set-id bits, to hide things under.
// `label`: SELinux context, or null.
long empty_tmpfs(Context& c, const char* label);

// The kernel's explanation of a failing fsopen/fsconfig/fspick context, into c.text.
void take_log(Context& c, long fs);

// Takes a tmpfs that lies on the container's root away again, before anyone else (a hook) sees this
// mount namespace; the working directory is the root's then.
long take_away(Context& c, long scratch);

// The mount of a MountFs by mount(2), detached. `mode`: permissions for its root, or -1.
long mount_by_page(Context& c, const plan::MountFs& p, long mode);

// Closes up to three fds; negative ones are none. In the init itself they stay open as long as they
// are few: one close_range(2) in PreserveFds takes them all, where closing one by one makes a fifth
// of the init's system calls.
void done_with(const Context& c, long a, long b = -1, long third = -1);

struct Kind {  // st_mode & S_IFMT and st_rdev, as mknod(2) takes them; -errno in `error`
  uint32_t type;
  uint32_t permissions;
  uint32_t device;
  long error;
};
Kind kind_of(long fd);
inline constexpr uint32_t kTypeMask = 0170000, kDirectoryType = 0040000, kRegularType = 0100000,
                          kCharacterType = 0020000, kBlockType = 0060000, kSymlinkType = 0120000;
// The kernel's user-space form of a device number (mknod(2), struct stat).
constexpr uint32_t device_number(uint32_t major, uint32_t minor) {
  return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

// tmpcopyup: everything below the directory `from` (O_PATH) into the new mount `to`.
long copy_up(Context& c, long from, long to);

}  // namespace coracle::init
