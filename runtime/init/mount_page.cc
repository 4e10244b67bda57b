// A new file system by mount(2), which takes what fsconfig(2) refuses: values of more than 255
// bytes, and commas where the file system has no fs_context yet (overlayfs before Linux 6.5).
//
// mount(2) works on a path. A tmpfs lies on the container's root for the moment, where no look-up
// of ours comes by; what is mounted in it is cloned, and the tmpfs taken away: the result is a
// detached mount like one of fsmount(2).
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "runtime/init/detached.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

static constexpr char kPlace[] = "m";

static long mount_in(Context& c, long scratch, const plan::MountFs& p, long mode) {
  long r = syscall(__NR_fchdir, scratch);
  if (r < 0) return fail(c, Call::k_chdir, r);
  r = syscall(__NR_mkdirat, scratch, kPlace, 0700);
  if (r < 0) return fail(c, Call::k_mkdir, r);
  r = syscall(__NR_mount, c.str(p.source), kPlace, c.str(p.fstype), p.page_flags, c.str(p.page));
  if (r < 0) {
    detail(c).put("the kernel's log (dmesg) may say which option is wrong");
    return fail(c, Call::k_mount, r);
  }
  if (mode >= 0) r = syscall(__NR_fchmodat, AT_FDCWD, kPlace, mode);
  const long tree = r < 0 ? fail(c, Call::k_chmod, r) : clone_tree(c, AT_FDCWD, kPlace, 0);
  r = syscall(__NR_umount2, kPlace, kDetach);
  if (r >= 0 || tree < 0) return tree;
  close_fd(tree);
  return fail(c, Call::k_umount, r);
}

long mount_by_page(Context& c, const plan::MountFs& p, long mode) {
  const long scratch =
      new_tmpfs(c, nullptr, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (scratch < 0) return scratch;
  long r = attach(c, scratch, c.root);
  if (r < 0) {
    close_fd(scratch);
    return r;
  }
  const long tree = mount_in(c, scratch, p, mode);
  r = take_away(c, scratch);
  done_with(c, scratch);
  if (tree < 0) return tree;
  if (r == 0) r = set_attr(c, tree, p.mount_attrs, 0);
  if (r == 0) return tree;
  close_fd(tree);
  return r;
}

}  // namespace coracle::init
