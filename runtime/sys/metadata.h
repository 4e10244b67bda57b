// What a file is: the stat(2) family by descriptor. 0 or -errno.
#pragma once

#include <sys/stat.h>

#include <string>

#include "runtime/sys/fd.h"
#include "runtime/sys/file.h"

namespace coracle::sys {

int stat_fd(const Fd& file, struct stat& out);
int stat_at(At dir, const char* path, struct stat& out);  // follows symlinks
int lstat_at(At dir, const char* path, struct stat& out);
int read_link(At dir, const char* path, std::string& out);
// The path of an open file, as the kernel would show it in /proc/self/fd.
int path_of(const Fd& file, std::string& out);
int chmod_fd(const Fd& file, mode_t mode);

}  // namespace coracle::sys
