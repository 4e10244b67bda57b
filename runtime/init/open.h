// openat2(2) for the init's own look-ups below the container's root.
#pragma once

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>

#include "runtime/init/init.h"
#include "runtime/init/syscall.h"

namespace coracle::init {

// st_mode's kinds of file (inode(7)); <linux/stat.h> hides its own from who has seen a libc header.
inline bool is_regular(unsigned mode) { return (mode & 0170000) == 0100000; }
inline bool is_directory(unsigned mode) { return (mode & 0170000) == 0040000; }
inline bool is_char_device(unsigned mode) { return (mode & 0170000) == 0020000; }

// Where a symlink has no business: /dev, /dev/pts, files of procfs.
inline constexpr uint64_t kStrict = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
// Paths that the user chose: symlinks are his, as seen from the container's root; links out of
// /proc/PID/fd are nobody's (CVE-2024-21626).
inline constexpr uint64_t kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

// The fd, always close-on-exec, or -errno. The kernel says EAGAIN when something was renamed
// during a walk that meets ".."; a bound keeps a hostile renamer from holding us here.
inline long open_at(long dir, const char* path, uint64_t flags, uint64_t resolve,
                    uint64_t mode = 0) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve;
  long fd = -EAGAIN;
  for (int tries = 0; tries < 128 && (fd == -EAGAIN || fd == -EINTR); ++tries)
    fd = syscall(__NR_openat2, dir, path, &how, sizeof(how));
  return fd;
}

// The container's root for one step: the fd kept from the mounts, or, after those are done with or
// in `exec`, the process's own root. Closes only what it opened.
class RootDir {
 public:
  explicit RootDir(const Context& c)
      : own_(c.root < 0),
        fd_(own_ ? syscall(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC) : c.root) {
  }
  ~RootDir() {
    if (own_) close_fd(fd_);
  }
  RootDir(const RootDir&) = delete;
  RootDir& operator=(const RootDir&) = delete;
  long fd() const { return fd_; }  // or -errno

 private:
  bool own_;
  long fd_;
};

}  // namespace coracle::init
