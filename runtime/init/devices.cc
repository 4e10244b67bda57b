// Directories, device nodes and links in the container's tree. Each is made by the *at call on the
// directory found below the root, never by a path that an image's symlinks could lead astray
// (CVE-2026-41579, CVE-2026-47766).
#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "runtime/init/detached.h"
#include "runtime/init/paths.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

long run(Context& c, const plan::MakeDir& p) {
  const char* name = nullptr;
  const long dir = open_parent(c, c.str(p.path), name);
  if (dir < 0) return dir;
  const long r = syscall(__NR_mkdirat, dir, name, p.mode);
  return r < 0 && r != -EEXIST ? fail(c, Call::k_mkdir, r) : 0;
}

// ---- MakeNode --------------------------------------------------------------------------------

static bool is_device(uint32_t type) { return type == kCharacterType || type == kBlockType; }

// The node there is good if it is what was asked for; its owner and mode stay as they are.
static long check_node(Context& c, const plan::MakeNode& p, long dir, const char* name) {
  const long fd = syscall(__NR_openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail(c, Call::k_open, fd);
  const Kind kind = kind_of(fd);
  close_fd(fd);
  if (kind.error < 0) return fail(c, Call::k_fstat, kind.error);
  const bool same = kind.type == (p.mode & kTypeMask) &&
                    (!is_device(kind.type) || kind.device == device_number(p.major, p.minor));
  if (same) return 0;
  detail(c).put("something else is there");
  return fail(c, Call::k_mknod, -EEXIST);
}

// Where to bind a node: what is there unless it is a symlink, or a new empty file.
static long open_node_target(Context& c, long dir, const char* name) {
  long fd =
      syscall(__NR_openat, dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC, 0644);
  if (fd == -EEXIST) fd = syscall(__NR_openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? fail(c, Call::k_open, fd) : fd;
}

// No user namespace but the first may make devices: the host's node of the same name is bound, if
// it is the same device. Until the pivot, absolute paths are the host's.
static long bind_node(Context& c, const plan::MakeNode& p, long dir, const char* name) {
  const long tree = clone_tree(c, AT_FDCWD, c.str(p.path), 0);
  if (tree < 0) return tree;
  const Kind kind = kind_of(tree);
  if (kind.error < 0 || kind.type != (p.mode & kTypeMask) ||
      kind.device != device_number(p.major, p.minor)) {
    close_fd(tree);
    detail(c).put("the host's node of that name is another device");
    return fail(c, Call::k_mknod, -EPERM);
  }
  const long target = open_node_target(c, dir, name);
  const long r = target < 0 ? target : attach(c, tree, target);
  done_with(c, tree, target);
  return r;
}

long run(Context& c, const plan::MakeNode& p) {
  const char* name = nullptr;
  const long dir = open_parent(c, c.str(p.path), name);
  if (dir < 0) return dir;
  long r = syscall(__NR_mknodat, dir, name, p.mode, device_number(p.major, p.minor));
  if (r == -EEXIST) return check_node(c, p, dir, name);
  if (r == -EPERM && is_device(p.mode & kTypeMask)) return bind_node(c, p, dir, name);
  if (r < 0) return fail(c, Call::k_mknod, r);
  if (p.uid == 0 && p.gid == 0) return 0;
  r = syscall(__NR_fchownat, dir, name, p.uid, p.gid, AT_SYMLINK_NOFOLLOW);
  return r < 0 ? fail(c, Call::k_chown, r) : 0;
}

// ---- MakeSymlink -----------------------------------------------------------------------------

long run(Context& c, const plan::MakeSymlink& p) {
  const char* name = nullptr;
  const long dir = open_parent(c, c.str(p.path), name);
  if (dir < 0) return dir;
  const char* points_to = c.str(p.points_to);
  long r = syscall(__NR_symlinkat, points_to, dir, name);
  if (r == -EEXIST && p.replace == 0) return 0;  // the image's own is kept
  if (r == -EEXIST) {
    r = syscall(__NR_unlinkat, dir, name, 0);
    if (r >= 0) r = syscall(__NR_symlinkat, points_to, dir, name);
  }
  return r < 0 ? fail(c, Call::k_symlink, r) : 0;
}

}  // namespace coracle::init
