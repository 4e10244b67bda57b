// tmpcopyup: the new tmpfs begins with a copy of what it hides. Owners, modes, times and extended
// attributes are kept; hard links become copies, sockets stay behind.
#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "runtime/init/detached.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

static constexpr int kMaxDepth = 64;  // bounds the stack; a level takes about 3 KiB
static constexpr uint32_t kSocketType = 0140000;

struct Entry {  // as getdents64(2) writes it
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[];
};

static long copy_directory(Context& c, long from, long to, int depth);

static long fail_on(Context& c, Call call, long error, const char* name) {
  detail(c).put(name);
  return fail(c, call, error);
}

// Attributes that the tmpfs does not know (user.* before Linux 6.6) or that a security module keeps
// to itself are left out: the copy is usable without them.
static void copy_xattrs(long from, long to) {
  char names[1024];
  char value[1024];
  const long size = syscall(__NR_flistxattr, from, names, sizeof(names));
  for (long i = 0; i < size; i += static_cast<long>(length(names + i)) + 1) {
    const long n = syscall(__NR_fgetxattr, from, names + i, value, sizeof(value));
    // A file system that has no such attribute goes without.
    if (n >= 0) ignore(syscall(__NR_fsetxattr, to, names + i, value, n, 0));
  }
}

static long copy_content(Context& c, long from, long to, const char* name) {
  for (;;) {
    const long n = syscall(__NR_sendfile, to, from, 0, 1L << 30);
    if (n < 0) return fail_on(c, Call::k_copy, n, name);
    if (n == 0) break;
  }
  copy_xattrs(from, to);
  return 0;
}

static long copy_file(Context& c, long from, long to, const char* name) {
  const long in = syscall(__NR_openat, from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (in < 0) return fail_on(c, Call::k_open, in, name);
  const long out =
      syscall(__NR_openat, to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  const long r = out < 0 ? fail_on(c, Call::k_open, out, name) : copy_content(c, in, out, name);
  close_fd(in);
  close_fd(out);
  return r;
}

static long copy_subdirectory(Context& c, long from, long to, const char* name, int depth) {
  const long made = syscall(__NR_mkdirat, to, name, 0700);
  if (made < 0) return fail_on(c, Call::k_mkdir, made, name);
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const long in = syscall(__NR_openat, from, name, kFlags);
  if (in < 0) return fail_on(c, Call::k_open, in, name);
  const long out = syscall(__NR_openat, to, name, kFlags);
  long r = out < 0 ? fail_on(c, Call::k_open, out, name) : copy_directory(c, in, out, depth + 1);
  if (r == 0) copy_xattrs(in, out);
  close_fd(in);
  close_fd(out);
  return r;
}

static long copy_link(Context& c, long from, long to, const char* name) {
  char link[2048];
  const long n = syscall(__NR_readlinkat, from, name, link, sizeof(link) - 1);
  if (n < 0) return fail_on(c, Call::k_readlink, n, name);
  link[n] = '\0';
  const long r = syscall(__NR_symlinkat, link, to, name);
  return r < 0 ? fail_on(c, Call::k_symlink, r, name) : 0;
}

// Owner first: a change of owner takes the set-id bits away.
static long copy_metadata(Context& c, const struct stat& st, long to, const char* name) {
  long r = syscall(__NR_fchownat, to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
  if (r < 0) return fail_on(c, Call::k_chown, r, name);
  if ((st.st_mode & kTypeMask) != kSymlinkType) {
    r = syscall(__NR_fchmodat, to, name, st.st_mode & 07777);
    if (r < 0) return fail_on(c, Call::k_chmod, r, name);
  }
  const int64_t times[4] = {
      static_cast<int64_t>(st.st_atime), static_cast<int64_t>(st.st_atime_nsec),
      static_cast<int64_t>(st.st_mtime), static_cast<int64_t>(st.st_mtime_nsec)};
  r = syscall(__NR_utimensat, to, name, times, AT_SYMLINK_NOFOLLOW);
  return r < 0 ? fail_on(c, Call::k_copy, r, name) : 0;
}

static long copy_entry(Context& c, long from, long to, const char* name, int depth) {
  struct stat st {};
  long r = syscall(__NR_newfstatat, from, name, &st, AT_SYMLINK_NOFOLLOW);
  if (r < 0) return fail_on(c, Call::k_fstat, r, name);
  switch (st.st_mode & kTypeMask) {
    case kDirectoryType:
      r = copy_subdirectory(c, from, to, name, depth);
      break;
    case kRegularType:
      r = copy_file(c, from, to, name);
      break;
    case kSymlinkType:
      r = copy_link(c, from, to, name);
      break;
    case kSocketType:
      return 0;  // nobody listens on the copy
    default:
      r = syscall(__NR_mknodat, to, name, st.st_mode, static_cast<uint32_t>(st.st_rdev));
      if (r < 0) return fail_on(c, Call::k_mknod, r, name);
  }
  return r < 0 ? r : copy_metadata(c, st, to, name);
}

static bool is_dots(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static long copy_directory(Context& c, long from, long to, int depth) {
  if (depth > kMaxDepth) return fail(c, Call::k_copy, -ELOOP);
  alignas(8) char buffer[2048];
  for (;;) {
    const long n = syscall(__NR_getdents64, from, buffer, sizeof(buffer));
    if (n < 0) return fail(c, Call::k_getdents, n);
    if (n == 0) return 0;
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->size;  // NOLINT(clang-analyzer-core.*): it does not see what the kernel writes
      if (is_dots(entry->name)) continue;
      const long r = copy_entry(c, from, to, entry->name, depth);
      if (r < 0) return r;
    }
  }
}

long copy_up(Context& c, long from, long to) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const long in = syscall(__NR_openat, from, ".", kFlags);
  if (in < 0) return fail(c, Call::k_open, in);
  const long out = syscall(__NR_openat, to, ".", kFlags);
  const long r = out < 0 ? fail(c, Call::k_open, out) : copy_directory(c, in, out, 0);
  close_fd(in);
  close_fd(out);
  return r;
}

}  // namespace coracle::init
