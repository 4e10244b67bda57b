// The few questions and acts about mounts that the parent has.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// The id of the mount that `path` leads to, through everything mounted on it (statx(2),
// STATX_MNT_ID, Linux 5.8). 0 if there is no such path.
uint64_t mount_id(const char* path);

// Detaches the topmost mount at `path` with all below it (umount2(2), MNT_DETACH); a symlink at its
// end is not followed. 0 or -errno.
int unmount(const char* path);

// A detached, read-only clone of the directory's mount on which programs may be executed, whatever
// the mount itself says (open_tree(2), mount_setattr(2)). Holds -errno on failure.
Fd executable_clone(const Fd& directory);

// A detached clone of what `path` leads to, with `recursive` of all that is mounted below it; where
// the original is shared, the clone is its slave, so that nothing mounted on it goes back. Holds
// -errno on failure.
Fd slave_clone(const char* path, bool recursive);
// fsopen(2), fsconfig(2), fsmount(2): a new file system, detached. An option without a value is a
// flag; keys and values are shorter than 256 bytes (fsconfig). `attributes`: MOUNT_ATTR_*. Holds
// -errno on failure, and `words` what the kernel says of it, or "".
using FsOptions = std::vector<std::pair<std::string, const char*>>;  // key; value or null
Fd new_filesystem(const char* type, const FsOptions& options, uint64_t attributes,
                  std::string& words);

// A detached clone of what is mounted at `path` (open_tree(2)).
Fd clone_mount(const char* path, bool recursive);

// mount_setattr(2) on a detached mount. 0 or -errno.
int change_mount(const Fd& mount, uint64_t set, uint64_t clear, bool recursive);

// On a detached mount the ids of `userns`'s outside appear for those of its inside
// (mount_setattr(2), MOUNT_ATTR_IDMAP, Linux 5.12). 0 or -errno.
int map_mount_ids(const Fd& mount, const Fd& userns, bool recursive);

// A new mount namespace for the calling process, from which nothing goes back to the one before
// (unshare(2)); and back into that one, whose root becomes the working directory. 0 or -errno.
int leave_mount_namespace();
int enter_mount_namespace(const Fd& ns);

// Puts a detached mount onto the directory (move_mount(2)). 0 or -errno.
int attach_mount(const Fd& mount, const Fd& directory);

}  // namespace coracle::sys
