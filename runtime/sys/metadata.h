// What a file is: the stat(2) family by descriptor. 0 or -errno.
#pragma once

#include <sys/stat.h>

#include "runtime/sys/fd.h"
#include "runtime/sys/file.h"

namespace coracle::sys {

int stat_fd(const Fd& file, struct stat& out);
int stat_at(At dir, const char* path, struct stat& out);  // follows symlinks
int lstat_at(At dir, const char* path, struct stat& out);
int chmod_fd(const Fd& file, mode_t mode);

}  // namespace coracle::sys
