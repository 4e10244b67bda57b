// Directories, device nodes and links in the container's tree. Each is made by the *at call on the
// directory found below the root, never by a path that an image's symlinks could lead astray
// (CVE-2026-41579, CVE-2026-47766).
#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "runtime/init/descriptor.h"
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

// A node that was bound with another owner or mode than the bundle wants: nobody changes the
// host's.
static void warn_of_owner(Context& c, const plan::MakeNode& p, long tree) {
  struct stat st {};
  if (syscall(__NR_fstat, tree, &st) < 0) return;  // a warning the less
  const bool same = ((p.asked & plan::kNodeMode) == 0 || (st.st_mode ^ p.mode) == 0) &&
                    ((p.asked & plan::kNodeUid) == 0 || st.st_uid == p.uid) &&
                    ((p.asked & plan::kNodeGid) == 0 || st.st_gid == p.gid);
  if (same) return;
  detail(c).put("fileMode, uid and gid are ignored: it is the host's own node");
  c.call = Call::k_none;
  warn(c, &p, -EPERM);
}

// The host's node of the same name, if it is the same device. Until the pivot, absolute paths are
// the host's.
static long clone_node_of_host(Context& c, const plan::MakeNode& p) {
  const long tree = clone_tree(c, AT_FDCWD, c.str(p.path), 0);
  if (tree == -ENOENT || tree == -ENOTDIR)
    detail(c).put("the host has no such device, and only its root could make one");
  if (tree < 0) return tree;
  const Kind kind = kind_of(tree);
  long r = 0;
  if (kind.error < 0 || kind.type != (p.mode & kTypeMask) ||
      kind.device != device_number(p.major, p.minor)) {
    detail(c).put("the host's node of that name is another device");
    r = fail(c, Call::k_mknod, -EPERM);
  }
  if (r == 0) r = set_attr(c, tree, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0);
  if (r == 0) {
    warn_of_owner(c, p, tree);
    return tree;
  }
  close_fd(tree);
  return r;
}

// No user namespace but the first may make devices: one that was made outside is bound.
static long bind_node(Context& c, const plan::MakeNode& p, long dir, const char* name) {
  const bool made = p.tree != plan::kNoSlot && c.fd(p.tree) >= 0;
  const long tree = made ? c.fd(p.tree) : clone_node_of_host(c, p);
  if (tree < 0) return tree;
  if (made) c.fd(p.tree) = -1;
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

// ---- HostNodes, CloneNodes
// ---------------------------------------------------------------------

namespace {
struct NodeName {
  char text[12];
  explicit NodeName(uint32_t index) : text{} { Line{text, sizeof(text)}.number(index); }
};
}  // namespace

// The caller's umask applies here, so the mode is set once more.
static long make_host_node(long dir, const char* name, const plan::HostNode& node) {
  long r = syscall(__NR_mknodat, dir, name, node.mode, device_number(node.major, node.minor));
  if (r >= 0) r = syscall(__NR_fchownat, dir, name, node.uid, node.gid, AT_SYMLINK_NOFOLLOW);
  if (r >= 0) r = syscall(__NR_fchmodat, dir, name, node.mode & 07777);
  return r;
}

// EPERM: no CAP_MKNOD, or a device cgroup around us. Then the host's own node has to do.
static long make_host_nodes(Context& c, plan::List nodes, long dir) {
  for (uint32_t i = 0; i < nodes.count; ++i) {
    const long r = make_host_node(dir, NodeName(i).text, c.list<plan::HostNode>(nodes)[i]);
    if (r < 0 && r != -EPERM) return fail(c, Call::k_mknod, r, i);
  }
  return 0;
}

long run(Context& c, const plan::HostNodes& p) {
  const long dir = new_tmpfs(c, c.str(p.label), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  if (dir < 0) return dir;
  const long r = make_host_nodes(c, p.nodes, dir);
  if (r < 0) {
    close_fd(dir);
  } else {
    c.fd(p.slot) = static_cast<int>(dir);
  }
  return r;
}

static long clone_nodes(Context& c, plan::List nodes, long dir) {
  for (uint32_t i = 0; i < nodes.count; ++i) {
    const long tree = clone_tree(c, dir, NodeName(i).text, 0);
    if (tree < 0 && tree != -ENOENT) return tree;
    c.fd(c.list<plan::Slot>(nodes)[i]) = static_cast<int>(tree);
  }
  return 0;
}

// Before Linux 6.15 only what is mounted can be cloned: for that moment the tmpfs lies on top of
// the container's root, where no look-up of ours comes by.
long run(Context& c, const plan::CloneNodes& p) {
  const long dir = c.fd(p.slot);
  long r = attach(c, dir, c.root);
  if (r < 0) return r;
  r = clone_nodes(c, p.nodes, dir);
  if (r == 0) r = take_away(c, dir);
  done_with(c, dir);
  c.fd(p.slot) = -1;
  return r;
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
