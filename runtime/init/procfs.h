// Private procfs: made for one purpose, never attached to the tree, so that nothing can be mounted
// over its files and no race can put another file in their place (CVE-2019-16884, CVE-2019-19921,
// CVE-2023-27561, CVE-2025-52881).
#pragma once

#include <stddef.h>

#include "runtime/init/init.h"

namespace coracle::init {

// A new instance for the caller's pid namespace; with `pids_only` (subset=pid, Linux 5.8) it shows
// processes and nothing else. The fd, or -errno.
long new_procfs(Context& c, bool pids_only);

// The instance kept in c.procfs, made on first use. Where the kernel refuses one (a user namespace
// whose /proc is masked), the container's own /proc, if that is an unhidden procfs. The fd is c's.
long own_procfs(Context& c);

// One write(2) of the whole value into the file at `path` below the root of the procfs `proc`.
// Symlinks, mounts and files of another file system are refused. 0 or -errno.
long write_proc(Context& c, long proc, const char* path, const char* value, size_t size);

}  // namespace coracle::init
