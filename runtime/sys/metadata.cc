#include "runtime/sys/metadata.h"

#include <cerrno>

namespace coracle::sys {

int stat_fd(const Fd& file, struct stat& out) { return ::fstat(file.get(), &out) ? -errno : 0; }

int stat_at(At dir, const char* path, struct stat& out) {
  return ::fstatat(dir.fd(), path, &out, 0) ? -errno : 0;
}

int lstat_at(At dir, const char* path, struct stat& out) {
  return ::fstatat(dir.fd(), path, &out, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

int chmod_fd(const Fd& file, mode_t mode) { return ::fchmod(file.get(), mode) ? -errno : 0; }

}  // namespace coracle::sys
