#include "runtime/sys/file.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace coracle::sys {
namespace {

constexpr int kOpenTries = 128;

int result(int r) { return r < 0 ? -errno : 0; }

int remove_entries(const Fd& dir);

// `entry` is a name in `dir`. Directories are emptied first.
int remove_entry(const Fd& dir, const DirEntry& entry) {
  const char* name = entry.name.c_str();
  if (entry.type != DT_DIR) {
    int r = unlink_at(dir, name);
    if (r != -EISDIR && r != -EPERM) return r == -ENOENT ? 0 : r;
  }
  Fd sub = open_at(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                   RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
  if (sub.error() == ENOENT) return 0;
  if (!sub) return -sub.error();
  if (int r = remove_entries(sub)) return r;
  int r = rmdir_at(dir, name);
  return r == -ENOENT ? 0 : r;
}

int remove_entries(const Fd& dir) {
  std::vector<DirEntry> entries;
  if (int r = list_dir(dir, ".", entries)) return r;
  for (const DirEntry& entry : entries) {
    if (int r = remove_entry(dir, entry)) return r;
  }
  return 0;
}

}  // namespace

Fd open_at(At dir, const char* path, int flags, uint64_t resolve, mode_t mode) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  // openat2 refuses a mode without a creating flag.
  if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) how.mode = mode;
  how.resolve = resolve;
  for (int tries = 0;; ++tries) {
    long fd = ::syscall(SYS_openat2, dir.fd(), path, &how, sizeof(how));
    if (fd >= 0) return Fd(static_cast<int>(fd));
    if (errno == EINTR) continue;
    if (errno != EAGAIN || tries == kOpenTries) return Fd(-errno);
  }
}

// A configuration as engines write it fits, so that one call reads it and one sees the end.
static constexpr size_t kFirstRead = 32 << 10;

// `short_is_end`: a read that fills less than was asked for is the last one.
static int read_to_end(const Fd& file, std::string& out, size_t limit, bool short_is_end) {
  out.clear();
  size_t used = 0;
  for (;;) {
    out.resize(used == 0 ? kFirstRead : used * 2);
    const ssize_t n = ::read(file.get(), out.data() + used, out.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) used += static_cast<size_t>(n);
    const bool end = n <= 0 || (short_is_end && used < out.size());
    if (used > limit) return -EFBIG;
    if (!end) continue;
    const int error = n < 0 ? -errno : 0;
    out.resize(used);
    return error;
  }
}

int read_all(const Fd& file, std::string& out, size_t limit) {
  return read_to_end(file, out, limit, false);
}

static bool is_regular(const Fd& file) {
  struct stat st;
  return ::fstat(file.get(), &st) == 0 && S_ISREG(st.st_mode);
}

int read_regular_file(At dir, const char* path, std::string& out, size_t limit) {
  // Not blocking: a fifo without a writer is empty, one with a silent writer is EAGAIN.
  const Fd file = open_at(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) return -file.error();
  const int r = read_to_end(file, out, limit, true);
  const bool doubtful = r == -EAGAIN || r == -EINVAL || (r == 0 && out.empty());
  return doubtful && !is_regular(file) ? -kNotRegular : r;
}

// Of pipe(2): it has no name, so whoever opened it holds the other end or was given this one.
static bool is_own_pipe(const Fd& file) {
  constexpr uint64_t kPipeFs = 0x50495045;  // PIPEFS_MAGIC, linux/magic.h
  uint64_t magic = 0;
  return file_system_type(file, magic) == 0 && magic == kPipeFs;
}

int read_named_file(const char* path, std::string& out, size_t limit) {
  const Fd file = open_at(At::cwd(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) return -file.error();
  if (is_regular(file)) return read_to_end(file, out, limit, true);
  if (!is_own_pipe(file)) return -kNotRegular;
  if (::fcntl(file.get(), F_SETFL, 0) < 0) return -errno;
  return read_all(file, out, limit);
}

int read_file(At dir, const char* path, std::string& out, size_t limit) {
  Fd file = open_at(dir, path, O_RDONLY);
  return file ? read_all(file, out, limit) : -file.error();
}

int write_all(const Fd& file, std::string_view data) {
  while (!data.empty()) {
    ssize_t n = ::write(file.get(), data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    data.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

int write_attribute(At dir, const char* path, std::string_view value) {
  Fd file = open_at(dir, path, O_WRONLY);
  if (!file) return -file.error();
  ssize_t n;
  do {
    n = ::write(file.get(), value.data(), value.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) return -errno;
  return static_cast<size_t>(n) == value.size() ? 0 : -EIO;
}

int mkdir_at(At dir, const char* path, mode_t mode) {
  return result(::mkdirat(dir.fd(), path, mode));
}

int rmdir_at(At dir, const char* path) { return result(::unlinkat(dir.fd(), path, AT_REMOVEDIR)); }

int unlink_at(At dir, const char* path) { return result(::unlinkat(dir.fd(), path, 0)); }

int rename_at(At from_dir, const char* from, At to_dir, const char* to) {
  return result(::renameat(from_dir.fd(), from, to_dir.fd(), to));
}

int exchange_at(At dir, const char* one, const char* other) {
  return ::syscall(SYS_renameat2, dir.fd(), one, dir.fd(), other, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

int chown_at(At dir, const char* path, uid_t uid, gid_t gid) {
  return result(::fchownat(dir.fd(), path, uid, gid, AT_SYMLINK_NOFOLLOW));
}

int file_system_type(const Fd& file, uint64_t& magic) {
  struct statfs st = {};
  if (::fstatfs(file.get(), &st) != 0) return -errno;
  magic = static_cast<uint64_t>(st.f_type);
  return 0;
}

int list_dir(At dir, const char* path, std::vector<DirEntry>& entries) {
  entries.clear();
  Fd fd = open_at(dir, path, O_RDONLY | O_DIRECTORY);
  if (!fd) return -fd.error();
  DIR* stream = ::fdopendir(fd.get());
  if (!stream) return -errno;
  fd.release();  // the stream's now
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) {
      entries.push_back({entry->d_name, entry->d_type});
    }
    errno = 0;
  }
  int error = -errno;
  ::closedir(stream);
  return error;
}

int remove_tree(At dir, const char* path) {
  // The last component alone decides what is removed; the way to it is the caller's.
  struct stat st;
  if (::fstatat(dir.fd(), path, &st, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : -errno;
  if (!S_ISDIR(st.st_mode)) return unlink_at(dir, path);
  Fd top = open_at(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!top) return -top.error();
  if (int r = remove_entries(top)) return r;
  return rmdir_at(dir, path);
}

}  // namespace coracle::sys
