#include "runtime/sys/metadata.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace coracle::sys {

int stat_fd(const Fd& file, struct stat& out) { return ::fstat(file.get(), &out) ? -errno : 0; }

int stat_at(At dir, const char* path, struct stat& out) {
  return ::fstatat(dir.fd(), path, &out, 0) ? -errno : 0;
}

int lstat_at(At dir, const char* path, struct stat& out) {
  return ::fstatat(dir.fd(), path, &out, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

int read_link(At dir, const char* path, std::string& out) {
  out.resize(4096);
  const ssize_t n = ::readlinkat(dir.fd(), path, out.data(), out.size());
  if (n < 0) return -errno;
  if (static_cast<size_t>(n) == out.size()) return -ENAMETOOLONG;
  out.resize(static_cast<size_t>(n));
  return 0;
}

int path_of(const Fd& file, std::string& out) {
  char link[32];
  ::snprintf(link, sizeof(link), "/proc/self/fd/%d", file.get());
  return read_link(At::cwd(), link, out);
}

int chmod_fd(const Fd& file, mode_t mode) { return ::fchmod(file.get(), mode) ? -errno : 0; }

}  // namespace coracle::sys
