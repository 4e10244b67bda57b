// New file systems, detached trees and changed mounts, each put in place by one move_mount(2).
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>

#include "runtime/init/descriptor.h"
#include "runtime/init/detached.h"
#include "runtime/init/paths.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;
using plan::kNoSlot;

// ---- OpenTree --------------------------------------------------------------------------------

static long check_tree(Context& c, const plan::OpenTree& p, long tree) {
  if ((p.flags & plan::kTreeMustBeDirectory) == 0) return 0;
  const Kind kind = kind_of(tree);
  if (kind.error < 0) return fail(c, Call::k_fstat, kind.error);
  return kind.type == kDirectoryType ? 0 : fail(c, Call::k_verify, -ENOTDIR);
}

// EACCES: mapped root may not walk the path. EINVAL: a bind that is not recursive would uncover
// what a mount locked to its place hides.
static bool keeps_other(Context& c, const plan::OpenTree& p, long error) {
  return (p.flags & plan::kTreeReplace) != 0 && (error == -EACCES || error == -EINVAL) &&
         c.fd(p.slot) >= 0;
}

static long clone_inside(Context& c, const char* path, unsigned flags) {
  const long source =
      open_below(c, path, (flags & AT_SYMLINK_NOFOLLOW) != 0 ? uint64_t{O_NOFOLLOW} : 0);
  if (source < 0) return source;
  const long tree = clone_tree(c, source, "", flags | AT_EMPTY_PATH);
  close_fd(source);
  return tree;
}

// The parent changes the same mount through an fd of its own.
static long send_tree(Context& c, const plan::OpenTree& p, long tree) {
  const long copy = syscall(__NR_dup, tree);
  return copy < 0 ? fail(c, Call::k_dup, copy) : hand_over(c, &p, copy);
}

static long refuse_tree(Context& c, const plan::OpenTree& p, long error) {
  if (error != -ENOENT && error != -ENOTDIR) return error;
  const bool inside = (p.flags & plan::kTreeInRoot) != 0;
  detail(c).put(inside ? "the container has no such path at this point of its mounts"
                       : "it does not exist on the host");
  return error;
}

long run(Context& c, const plan::OpenTree& p) {
  unsigned flags = 0;
  if ((p.flags & plan::kTreeRecursive) != 0) flags |= AT_RECURSIVE;
  if ((p.flags & plan::kTreeNoFollow) != 0) flags |= AT_SYMLINK_NOFOLLOW;
  const long tree = (p.flags & plan::kTreeInRoot) != 0
                        ? clone_inside(c, c.str(p.path), flags)
                        : clone_tree(c, AT_FDCWD, c.str(p.path), flags);
  if (tree < 0) return keeps_other(c, p, tree) ? 0 : refuse_tree(c, p, tree);
  long r = check_tree(c, p, tree);
  if (r == 0) r = set_attrs(c, tree, p.attrs);
  if (r == 0 && (p.flags & plan::kTreeSend) != 0) r = send_tree(c, p, tree);
  if (r < 0) {
    close_fd(tree);
    return r;
  }
  if ((p.flags & plan::kTreeReplace) != 0) close_fd(c.fd(p.slot));
  c.fd(p.slot) = static_cast<int>(tree);
  return 0;
}

// ---- a mount at "/"
// ------------------------------------------------------------------------------

// From now on it is what all paths of the container begin at, what hooks find as their working
// directory, and what the pivot makes the root.
static long become_root(Context& c, long mount) {
  const long root = syscall(__NR_fcntl, mount, F_DUPFD_CLOEXEC, 0);
  if (root < 0) return fail(c, Call::k_dup, root);
  done_with(c, c.root);
  c.root = static_cast<int>(root);
  const long r = syscall(__NR_fchdir, root);
  return r < 0 ? fail(c, Call::k_chdir, r) : 0;
}

static long attach_below(Context& c, long mount, const char* path, long target) {
  const long r = attach(c, mount, target);
  return r == 0 && equal(path, "/", 2) ? become_root(c, mount) : r;
}

// Only the root of a procfs may cover /proc: labels and sysctls must not be written into anything
// that merely looks like one (CVE-2019-16884, CVE-2019-19921).
static long check_procfs(Context& c, long tree) {
  struct statfs fs {};
  struct stat st {};
  long r = syscall(__NR_fstatfs, tree, &fs);
  if (r == 0) r = syscall(__NR_fstat, tree, &st);
  if (r < 0) return fail(c, Call::k_fstat, r);
  if (fs.f_type == PROC_SUPER_MAGIC && st.st_ino == 1) return 0;
  detail(c).put("only the root of a procfs may be bound on /proc");
  return fail(c, Call::k_verify, -EPERM);
}

// ---- MountFs ---------------------------------------------------------------------------------

static constexpr char kOption[] = "option ";

static long refused(Context& c, long fs, const char* key, long error, uint32_t index) {
  detail(c).put(kOption).put(key);  // in case the kernel has no words of its own
  take_log(c, fs);
  return fail(c, Call::k_fsconfig, error, index);
}

static long set_option(Context& c, long fs, const char* key, const char* value, uint32_t index) {
  const long r = value != nullptr ? syscall(__NR_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0)
                                  : syscall(__NR_fsconfig, fs, FSCONFIG_SET_FLAG, key, 0, 0);
  return r < 0 ? refused(c, fs, key, r, index) : 0;
}

static long set_path_by(long fs, const char* key, const char* path, unsigned flags, long& opened) {
  opened = syscall(__NR_openat, AT_FDCWD, path, flags | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return opened;
  const long r = syscall(__NR_fsconfig, fs, FSCONFIG_SET_FD, key, 0, opened);
  close_fd(opened);
  return r;
}

// A host path, as those in the options are. EBADF: a kernel that takes no O_PATH descriptor here.
static long set_path(Context& c, long fs, const char* key, const char* path, uint32_t index) {
  long opened = -1;
  long r = set_path_by(fs, key, path, O_PATH, opened);
  if (r == -EBADF) r = set_path_by(fs, key, path, O_RDONLY, opened);
  if (r >= 0) return 0;
  if (opened >= 0) return refused(c, fs, key, r, index);
  detail(c).put(key).put(": ").put(path);
  return fail(c, Call::k_open, r, index);
}

static long set_options(Context& c, long fs, plan::List options) {
  for (uint32_t i = 0; i < options.count; ++i) {
    const plan::FsOption& o = c.list<plan::FsOption>(options)[i];
    const long r = o.path != 0 ? set_path(c, fs, c.str(o.key), c.str(o.value), i)
                               : set_option(c, fs, c.str(o.key), c.str(o.value), i);
    if (r < 0) return r;
  }
  return 0;
}

static long finish_options(Context& c, long fs, unsigned command) {
  const long r = syscall(__NR_fsconfig, fs, command, 0, 0, 0);
  if (r >= 0) return 0;
  take_log(c, fs);
  return fail(c, Call::k_fsconfig, r);
}

// A tmpfs without mode= takes the mode of the directory it covers.
static long keep_mode(Context& c, long fs, long target) {
  const Kind kind = kind_of(target);
  if (kind.error < 0) return fail(c, Call::k_fstat, kind.error);
  char mode[8];
  Line line{mode, sizeof(mode)};
  for (int shift = 9; shift >= 0; shift -= 3)
    line.put(static_cast<char>('0' + ((kind.permissions >> shift) & 7)));
  return set_option(c, fs, "mode", mode, UINT32_MAX);
}

static bool keeps_mode(const plan::MountFs& p, const Target& target) {
  return (p.flags & plan::kMountKeepMode) != 0 && target.existed;
}

static long configure(Context& c, const plan::MountFs& p, long fs, const Target& target) {
  long r = 0;
  if (p.source.off != 0) r = set_option(c, fs, "source", c.str(p.source), UINT32_MAX);
  if (r == 0) r = set_options(c, fs, p.options);
  if (r == 0 && keeps_mode(p, target)) r = keep_mode(c, fs, target.fd);
  return r == 0 ? finish_options(c, fs, FSCONFIG_CMD_CREATE) : r;
}

// Both ways refused it: what fsconfig(2) said tells more than the errno of mount(2), if the kernel
// had words of its own.
static long mount_otherwise(Context& c, const plan::MountFs& p, const Target& target) {
  char said[sizeof(c.text)];
  Line{said, sizeof(said)}.put(c.text);
  const bool words = c.text[0] != '\0' && !equal(c.text, kOption, sizeof(kOption) - 1);
  const Kind kind = kind_of(target.fd);
  const bool keeps = keeps_mode(p, target) && kind.error == 0;
  const long mount = mount_by_page(c, p, keeps ? static_cast<long>(kind.permissions) : -1);
  if (mount != -EINVAL || c.call != Call::k_mount || !words) return mount;
  detail(c).put(said);
  return fail(c, Call::k_fsconfig, mount);
}

static long create_mount(Context& c, const plan::MountFs& p, long fs, const Target& target) {
  const long r = configure(c, p, fs, target);
  if (r == -EINVAL && p.page.off != 0) return mount_otherwise(c, p, target);
  if (r < 0) return r;
  const long mount = syscall(__NR_fsmount, fs, FSMOUNT_CLOEXEC, p.mount_attrs);
  return mount < 0 ? fail(c, Call::k_fsmount, mount) : mount;
}

static long new_mount(Context& c, const plan::MountFs& p, long fs, const Target& target) {
  const long mount = create_mount(c, p, fs, target);
  if (mount < 0) return mount;
  long r = p.context != kNoSlot ? check_procfs(c, mount) : 0;
  if ((p.flags & plan::kMountCopyUp) != 0) r = copy_up(c, target.fd, mount);
  if (r == 0) r = set_attrs(c, mount, p.attrs);
  if (r == 0) return mount;
  close_fd(mount);
  return r;
}

// What stands in for a file system that a user namespace may not mount: a part of the host's own,
// never with more rights than were asked for.
static long bind_instead(Context& c, const char* path, uint32_t attrs, unsigned flags) {
  constexpr uint32_t kRestricting = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                    MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;
  const long tree = clone_tree(c, AT_FDCWD, path, flags);
  if (tree < 0) return tree;
  const long r = set_attr(c, tree, attrs & kRestricting, flags);
  if (r == 0) return tree;
  close_fd(tree);
  return r;
}

static long stand_in(Context& c, const plan::MountFs& p, long error) {
  if (error != -EPERM && error != -EBUSY && error != -ENODEV) return error;
  if ((p.flags & plan::kMountSysBind) != 0)
    return bind_instead(c, "/sys", p.mount_attrs | MOUNT_ATTR_RDONLY, AT_RECURSIVE);
  if ((p.flags & plan::kMountMqueueBind) != 0)
    return bind_instead(c, "/dev/mqueue", p.mount_attrs, 0);
  if ((p.flags & plan::kMountCgroupBind) == 0) return error;
  // Its own cgroup, or nothing at all: never the host's hierarchy (CVE-2023-25809).
  if (p.fallback == kNoSlot || c.fd(p.fallback) < 0) return empty_tmpfs(c, nullptr);
  const long tree = c.fd(p.fallback);
  c.fd(p.fallback) = -1;
  return tree;
}

static long open_mount(Context& c, const plan::MountFs& p, const Target& target, long& fs) {
  fs = p.context != kNoSlot ? c.fd(p.context)
                            : syscall(__NR_fsopen, c.str(p.fstype), FSOPEN_CLOEXEC);
  if (fs == -ENODEV) detail(c).put("this kernel has no file system of type ").put(c.str(p.fstype));
  const long mount = fs < 0 ? fail(c, Call::k_fsopen, fs) : new_mount(c, p, fs, target);
  return mount < 0 ? stand_in(c, p, mount) : mount;
}

long run(Context& c, const plan::MountFs& p) {
  drop_parent(c);
  const Target target = open_target(c, c.str(p.target), p.flags, Missing::kDirectory);
  if (target.fd < 0) return target.fd;
  long fs = -1;
  const long mount = open_mount(c, p, target, fs);
  const long r = mount < 0 ? mount : attach_below(c, mount, c.str(p.target), target.fd);
  done_with(c, target.fd, fs, mount);
  return r;
}

// ---- MountTree -------------------------------------------------------------------------------

// copy-symlink: a source that is a symlink gives a symlink of the same content. 1 if it was one.
static long copy_symlink(Context& c, long tree, const char* target) {
  char link[4096];
  const long n = syscall(__NR_readlinkat, tree, "", link, sizeof(link) - 1);
  if (n < 0) return 0;  // EINVAL, ENOENT: not a symlink
  link[n] = '\0';
  const char* name = nullptr;
  const long dir = open_parent(c, target, name);
  if (dir < 0) return dir;
  const long r = syscall(__NR_symlinkat, link, dir, name);
  if (r >= 0) return 1;
  char there[4096];
  const long m = r == -EEXIST ? syscall(__NR_readlinkat, dir, name, there, sizeof(there)) : r;
  if (m == n && equal(there, link, static_cast<size_t>(n))) return 1;
  return fail(c, Call::k_symlink, r);
}

static long mount_tree(Context& c, const plan::MountTree& p, long tree) {
  const char* path = c.str(p.target);
  if ((p.flags & plan::kMountCopySymlink) != 0) {
    const long r = copy_symlink(c, tree, path);
    if (r != 0) return r < 0 ? r : 0;
  }
  if ((p.flags & plan::kMountMustBeProc) != 0) {
    const long r = check_procfs(c, tree);
    if (r < 0) return r;
  }
  Target target = open_target(c, path, p.flags, Missing::kFail);
  if (target.fd == -ENOENT) {
    const bool directory = kind_of(tree).type == kDirectoryType;
    target = open_target(c, path, p.flags, directory ? Missing::kDirectory : Missing::kFile);
  }
  if (target.fd < 0) return target.fd;
  const long r = attach_below(c, tree, path, target.fd);
  done_with(c, target.fd);
  return r;
}

long run(Context& c, const plan::MountTree& p) {
  drop_parent(c);
  const long tree = c.fd(p.slot);
  if (tree < 0) return fail(c, Call::k_open_tree, -EBADF);
  const long r = mount_tree(c, p, tree);
  done_with(c, tree);
  c.fd(p.slot) = -1;
  return r;
}

// ---- Remount ---------------------------------------------------------------------------------

static long reconfigure(Context& c, long target, plan::List options) {
  const long fs = syscall(__NR_fspick, target, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
  if (fs < 0) return fail(c, Call::k_fspick, fs);
  long r = set_options(c, fs, options);
  if (r == 0) r = finish_options(c, fs, FSCONFIG_CMD_RECONFIGURE);
  close_fd(fs);
  return r;
}

long run(Context& c, const plan::Remount& p) {
  const Target target = open_target(c, c.str(p.target), 0, Missing::kFail);
  if (target.fd < 0) return target.fd;
  long r = 0;
  if (p.options.count != 0) r = reconfigure(c, target.fd, p.options);
  if (r == 0) r = set_attrs(c, target.fd, p.attrs);
  close_fd(target.fd);
  return r;
}

}  // namespace coracle::init
