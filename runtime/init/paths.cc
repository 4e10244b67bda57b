#include "runtime/init/paths.h"

#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/magic.h>

#include "runtime/init/detached.h"
#include "runtime/init/open.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

static constexpr size_t kPathMax = 4096;
static constexpr int kMaxLinks = 40;  // as the kernel's MAXSYMLINKS

static long fail_at(Context& c, Call call, long error, const char* where) {
  detail(c).put(where);
  return fail(c, call, error);
}

long open_below(Context& c, const char* path, uint64_t flags) {
  const RootDir root(c);
  if (root.fd() < 0) return fail(c, Call::k_open, root.fd());
  const long fd = open_at(root.fd(), path, O_PATH | flags, kInRoot);
  return fd < 0 ? fail(c, Call::k_openat2, fd) : fd;
}

static bool on_procfs(long fd) {
  struct statfs fs {};
  return syscall(__NR_fstatfs, fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

// First without symlinks, which is what most paths are; only those with one need the second look.
static long open_existing(Context& c, long root, const char* path, uint32_t flags) {
  const uint64_t how = O_PATH | ((flags & plan::kMountTargetNoFollow) != 0 ? O_NOFOLLOW : 0);
  long fd = open_at(root, path, how, kInRoot | RESOLVE_NO_SYMLINKS);
  if (fd != -ELOOP) return fd;
  if ((flags & plan::kMountNoSymlinks) != 0)
    return fail_at(c, Call::k_verify, fd,
                   "must be mounted on ordinary directory, without symbolic links on the way");
  fd = open_at(root, path, how, kInRoot);
  if (fd < 0 || !on_procfs(fd)) return fd;
  close_fd(fd);
  return fail_at(c, Call::k_verify, -EPERM, "a symbolic link leads into a procfs");
}

// ---- making what is missing ------------------------------------------------------------------

// A path being walked: `text` is changed when a dangling symlink is met.
struct Walk {
  Context& c;
  long root;
  char* text;  // kPathMax bytes
  Missing make;
  uint32_t flags;
};

// Length of `text` without its last component and the slashes before it.
static size_t parent_length(const char* text, size_t size) {
  while (size > 0 && text[size - 1] != '/') --size;
  while (size > 0 && text[size - 1] == '/') --size;
  return size;
}

// The deepest directory of the path that exists; `size` becomes the length of its name.
static long open_deepest(const Walk& w, size_t& size) {
  size = length(w.text);
  while (size > 0 && w.text[size - 1] == '/') --size;
  const uint64_t how = (w.flags & plan::kMountNoSymlinks) != 0 ? RESOLVE_NO_SYMLINKS : 0;
  for (;;) {
    size = parent_length(w.text, size);
    const char kept = w.text[size];
    w.text[size] = '\0';
    const long fd = open_at(w.root, size > 0 ? w.text : "/", O_PATH | O_DIRECTORY, kInRoot | how);
    w.text[size] = kept;
    if (fd != -ENOENT || size == 0) return fd;
  }
}

static long make_component(const Walk& w, long dir, const char* name, bool last) {
  if (last && w.make == Missing::kFile) {
    return syscall(__NR_openat, dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC,
                   0644);
  }
  const long made = syscall(__NR_mkdirat, dir, name, 0755);
  if (made < 0) return made;
  // Between the two calls another process that shares the directory may have put something else in
  // its place: a symlink is refused here, another directory of the same tree does no harm.
  return syscall(__NR_openat, dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// Puts what the symlink `name` in `dir` says into w.text, in place of everything up to `end`, where
// the rest of the path begins. 0; -EINVAL if it is no symlink.
static long expand_link(const Walk& w, long dir, const char* name, size_t start, size_t end) {
  char link[kPathMax];
  const long n = syscall(__NR_readlinkat, dir, name, link, sizeof(link) - 1);
  if (n < 0) return n;
  link[n] = '\0';
  char joined[kPathMax];
  Line line{joined, sizeof(joined)};
  if (link[0] != '/') line.put(w.text, start).put('/');
  line.put(link).put(w.text + end);
  if (line.full) return -ENAMETOOLONG;
  for (size_t i = 0; i <= line.used; ++i) w.text[i] = joined[i];
  return 0;
}

// What is there already, in the way of make_component: somebody was faster, or a dangling symlink.
// -ERESTART: the path has changed, walk it again. Nothing missing can be made in a procfs, so a
// file of one was reached by a name exchanged for a symlink since the first look (CVE-2025-52881).
static long take_existing(const Walk& w, long dir, const char* name, size_t start, size_t end) {
  const long fd = syscall(__NR_openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fd;
  struct stat st {};
  long r = syscall(__NR_fstat, fd, &st);
  const bool symlink = (st.st_mode & 0170000) == 0120000;
  if (r == 0 && !symlink && on_procfs(fd)) r = -EPERM;
  if (r == 0 && !symlink) return fd;
  close_fd(fd);
  if (r < 0) return r;
  if ((w.flags & plan::kMountNoSymlinks) != 0) return -ELOOP;
  const long expanded = expand_link(w, dir, name, start, end);
  return expanded < 0 ? expanded : -ERESTART;
}

// Makes the components from `start` on. `dir` is consumed.
static long make_rest(const Walk& w, long dir, size_t start) {
  for (;;) {
    size_t begin = start;
    while (w.text[begin] == '/') ++begin;
    if (w.text[begin] == '\0') return dir;
    size_t end = begin;
    while (w.text[end] != '\0' && w.text[end] != '/') ++end;
    size_t next = end;
    while (w.text[next] == '/') ++next;

    char name[256];
    Line line{name, sizeof(name)};
    line.put(w.text + begin, end - begin);
    // ".." below something that does not exist has no meaning.
    long r = line.full ? -ENAMETOOLONG : equal(name, "..", 3) ? -ENOENT : 0;
    if (r == 0) r = make_component(w, dir, name, w.text[next] == '\0');
    if (r == -EEXIST) r = take_existing(w, dir, name, start, end);
    done_with(w.c, dir);
    if (r < 0) return r == -ERESTART ? r : fail_at(w.c, Call::k_mkdir, r, name);
    dir = r;
    start = end;
  }
}

static long make_path(Context& c, long root, const char* path, uint32_t flags, Missing make) {
  Line line{c.path, sizeof(c.path)};
  line.put(path);
  if (line.full) return fail(c, Call::k_mkdir, -ENAMETOOLONG);
  const Walk w{c, root, c.path, make, flags};
  for (int links = 0; links <= kMaxLinks; ++links) {
    size_t start = 0;
    const long dir = open_deepest(w, start);
    if (dir < 0) return fail(c, Call::k_openat2, dir);
    const long fd = make_rest(w, dir, start);
    if (fd != -ERESTART) return fd;
  }
  return fail(c, Call::k_openat2, -ELOOP);
}

Target open_target(Context& c, const char* path, uint32_t flags, Missing make) {
  const RootDir root(c);
  if (root.fd() < 0) return {fail(c, Call::k_open, root.fd()), false};
  c.text[0] = '\0';
  const bool look = (flags & plan::kMountTargetMissing) == 0 || make == Missing::kFail;
  const long fd = look ? open_existing(c, root.fd(), path, flags) : -ENOENT;
  if (fd >= 0) return {fd, true};
  if (c.text[0] != '\0') return {fd, true};
  if (fd != -ENOENT || make == Missing::kFail) return {fail(c, Call::k_openat2, fd), true};
  return {make_path(c, root.fd(), path, flags, make), false};
}

// ---- the directory of nodes and links
// ------------------------------------------------------------

void drop_parent(Context& c) {
  if (c.parent_path == nullptr) return;
  done_with(c, c.parent);
  c.parent_path = nullptr;
}

static size_t directory_length(const char* path) {
  size_t size = length(path);
  while (size > 0 && path[size - 1] != '/') --size;
  return size;
}

long open_parent(Context& c, const char* path, const char*& name) {
  const size_t size = directory_length(path);
  name = path + size;
  if (c.parent_path != nullptr && directory_length(c.parent_path) == size &&
      equal(c.parent_path, path, size))
    return c.parent;
  drop_parent(c);
  char directory[kPathMax];
  Line line{directory, sizeof(directory)};
  line.put('/').put(path, size);
  if (line.full) return fail(c, Call::k_openat2, -ENAMETOOLONG);
  const Target target = open_target(c, directory, 0, Missing::kDirectory);
  if (target.fd < 0) return target.fd;
  c.parent = static_cast<int>(target.fd);
  c.parent_path = path;
  return c.parent;
}

}  // namespace coracle::init
