// The few questions and acts about mounts that the parent has.
#pragma once

#include <cstdint>

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

}  // namespace coracle::sys
