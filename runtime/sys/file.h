// Files and directories by descriptor: openat2 and the few calls around it. Everything returns an
// Fd, or 0 / -errno; nothing follows a path that the caller did not give, and every descriptor is
// close-on-exec. EINTR is retried, and so is openat2's EAGAIN (a rename ran beside a ".." walk;
// openat2(2)), a bounded number of times.
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// The directory that a relative path starts from: an open one, or the working directory (which is
// also what to give with an absolute path).
class At {
 public:
  At(const Fd& dir) : fd_(dir.get()) {}  // NOLINT: meant to convert; `dir` stays the caller's
  static At cwd() { return At(); }
  int fd() const { return fd_; }

 private:
  At() = default;
  int fd_ = AT_FDCWD;
};

// openat2(2). `resolve` is of RESOLVE_*; `mode` counts only with O_CREAT or O_TMPFILE.
Fd open_at(At dir, const char* path, int flags, uint64_t resolve = 0, mode_t mode = 0);

// Reads from the current offset to the end into `out` (replaced). -EFBIG if there are more than
// `limit` bytes.
int read_all(const Fd& file, std::string& out, size_t limit = 16u << 20);
// The same for a regular file, whose end is where a read comes back short: one call less. Never
// blocks: -kNotRegular for a fifo, a terminal or the like, where only reading tells them apart
// (a fifo that somebody has written to is read).
int read_regular_file(At dir, const char* path, std::string& out, size_t limit = 16u << 20);
// A file that a caller names. Regular, or a pipe of the caller's own, as in `<(command)` and
// /dev/stdin, which is waited for; -kNotRegular for anything else, a fifo with a name too, which
// would keep us for ever.
int read_named_file(const char* path, std::string& out, size_t limit = 16u << 20);
// Above the kernel's errno values (MAX_ERRNO, 4095); spec/errno_words has its words.
inline constexpr int kNotRegular = 4096;
// For files of the kernel's (/proc, /sys): reads until the end.
int read_file(At dir, const char* path, std::string& out, size_t limit = 16u << 20);

// Writes everything, going on after short writes.
int write_all(const Fd& file, std::string_view data);
// One write(2) into an existing file (kernel attribute files take a value in one call, and are
// neither created nor truncated). A short write is -EIO.
int write_attribute(At dir, const char* path, std::string_view value);

int mkdir_at(At dir, const char* path, mode_t mode);
int rmdir_at(At dir, const char* path);
int unlink_at(At dir, const char* path);
int rename_at(At from_dir, const char* from, At to_dir, const char* to);
// The two names change places at once; both must exist. -EINVAL where the file system cannot.
int exchange_at(At dir, const char* one, const char* other);
int chown_at(At dir, const char* path, uid_t uid, gid_t gid);  // does not follow symlinks

// The magic number of the file system that an open file lies on (statfs(2)). 0 or -errno.
int file_system_type(const Fd& file, uint64_t& magic);

struct DirEntry {
  std::string name;
  unsigned char type;  // DT_*; DT_UNKNOWN where the file system does not tell
};
// The entries of `path` below `dir` ("." for `dir` itself), without "." and "..".
int list_dir(At dir, const char* path, std::vector<DirEntry>& entries);

// Removes `path` with everything in it. Symlinks are removed, never followed, and the walk does
// not enter mounts (RESOLVE_NO_XDEV: -EXDEV, and nothing behind the mount is touched).
// A missing `path` is no error.
int remove_tree(At dir, const char* path);

}  // namespace coracle::sys
