#include "runtime/init/detached.h"

#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

long clone_tree(Context& c, long dir, const char* path, unsigned flags) {
  const long tree = syscall(__NR_open_tree, dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
  return tree < 0 ? fail(c, Call::k_open_tree, tree) : tree;
}

long set_attrs(Context& c, long mount, plan::List attrs) {
  for (uint32_t i = 0; i < attrs.count; ++i) {
    const plan::SetAttr& a = c.list<plan::SetAttr>(attrs)[i];
    mount_attr attr{};
    attr.attr_set = a.set;
    attr.attr_clr = a.clr;
    attr.propagation = a.propagation;
    if (a.userns != plan::kNoSlot) attr.userns_fd = static_cast<uint64_t>(c.fd(a.userns));
    const long r = syscall(__NR_mount_setattr, mount, "",
                           AT_EMPTY_PATH | (a.recursive ? AT_RECURSIVE : 0), &attr, sizeof(attr));
    if (r >= 0) continue;
    if ((a.set & MOUNT_ATTR_IDMAP) != 0 && (r == -EINVAL || r == -EPERM))
      detail(c).put("this file system, or this use of it, cannot be idmapped");
    return fail(c, Call::k_mount_setattr, r, i);
  }
  return 0;
}

long set_attr(Context& c, long mount, uint64_t set, unsigned flags) {
  mount_attr attr{};
  attr.attr_set = set;
  const long r = syscall(__NR_mount_setattr, mount, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr));
  return r < 0 ? fail(c, Call::k_mount_setattr, r) : 0;
}

long attach(Context& c, long tree, long target) {
  const long r = syscall(__NR_move_mount, tree, "", target, "",
                         MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  if (r >= 0) return 0;
  const bool from = kind_of(tree).type == kDirectoryType;
  const bool onto = kind_of(target).type == kDirectoryType;
  if (from == onto) return fail(c, Call::k_move_mount, r);
  detail(c).put(from ? "a directory onto a file" : "a file onto a directory");
  return fail(c, Call::k_move_mount, -ENOTDIR);  // mount(2)'s error for it, which Docker explains
}

static long make_tmpfs(Context& c, long fs, const char* label, uint64_t attrs) {
  long r = 0;
  if (label != nullptr) r = syscall(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "context", label, 0);
  if (r >= 0) r = syscall(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
  if (r < 0) {
    take_log(c, fs);
    return fail(c, Call::k_fsconfig, r);
  }
  r = syscall(__NR_fsmount, fs, FSMOUNT_CLOEXEC, attrs);
  return r < 0 ? fail(c, Call::k_fsmount, r) : r;
}

long new_tmpfs(Context& c, const char* label, uint64_t attrs) {
  const long fs = syscall(__NR_fsopen, "tmpfs", FSOPEN_CLOEXEC);
  if (fs < 0) return fail(c, Call::k_fsopen, fs);
  const long mount = make_tmpfs(c, fs, label, attrs);
  done_with(c, fs);
  return mount;
}

long empty_tmpfs(Context& c, const char* label) {
  return new_tmpfs(c, label,
                   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

long take_away(Context& c, long scratch) {
  long r = syscall(__NR_fchdir, scratch);
  if (r >= 0) r = syscall(__NR_umount2, ".", kDetach);
  if (r < 0) return fail(c, Call::k_umount, r);
  r = syscall(__NR_fchdir, c.root);
  return r < 0 ? fail(c, Call::k_chdir, r) : 0;
}

// Each read(2) gives one message, "e tmpfs: Bad value for 'size'"; the first error tells most.
void take_log(Context& c, long fs) {
  char message[256];
  for (int i = 0; i < 8; ++i) {
    const long n = syscall(__NR_read, fs, message, sizeof(message));
    if (n < 0) return;  // ENODATA: that was all, and no log is no failure
    // NOLINTNEXTLINE(clang-analyzer-core.*): it does not see what the kernel writes
    if (n < 3 || message[0] != 'e') continue;
    size_t size = static_cast<size_t>(n);
    while (size > 2 && message[size - 1] == '\n') --size;
    detail(c).put(message + 2, size - 2);
    return;
  }
}

static void done_with_one(const Context& c, long fd) {
  constexpr long kMany = 192;  // far below any soft limit on open files
  if (!c.closes_late || fd >= kMany) close_fd(fd);
}

void done_with(const Context& c, long a, long b, long third) {
  done_with_one(c, a);
  done_with_one(c, b);
  done_with_one(c, third);
}

Kind kind_of(long fd) {
  struct stat st {};
  const long r = syscall(__NR_fstat, fd, &st);
  return {st.st_mode & kTypeMask, st.st_mode & 07777, static_cast<uint32_t>(st.st_rdev), r};
}

}  // namespace coracle::init
