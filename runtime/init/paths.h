// The container's tree as the init may reach it: every look-up is openat2(2) below the root's fd
// with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS, and what is missing is made one component at a
// time on the directory just walked (mkdirat, O_CREAT|O_EXCL|O_NOFOLLOW). A path is never given to
// a call that would resolve it a second time, or outside of the root (CVE-2019-18837,
// CVE-2021-30465, CVE-2024-45310, CVE-2026-41579).
//
// Results are fds (owned by the caller, close-on-exec) or -errno; on failure c.call is set and
// c.text names the component.
#pragma once

#include "runtime/init/init.h"

namespace coracle::init {

// O_PATH, following symlinks as the container would.
long open_below(Context& c, const char* path, uint64_t flags = 0);

enum class Missing : uint8_t { kFail, kDirectory, kFile };

struct Target {
  long fd;       // O_PATH, or -errno
  bool existed;  // before this call
};

// The place for a mount, made if missing: parents 0755, the last component a directory (0755) or an
// empty file (0644). A dangling symlink inside the root is followed, and what it names is made.
// `flags`: kMountNoSymlinks, kMountTargetNoFollow. A path that a symlink leads into a procfs is
// refused: the planner has judged the literal path only (CVE-2019-16884).
Target open_target(Context& c, const char* path, uint32_t flags, Missing make);

// The directory in which the last component of `path` is to be made; `name` points to that
// component. The fd belongs to c, which keeps the last one: devices and their links come in runs.
long open_parent(Context& c, const char* path, const char*& name);
// Forgets it; whatever is mounted next may cover it.
void drop_parent(Context& c);

}  // namespace coracle::init
