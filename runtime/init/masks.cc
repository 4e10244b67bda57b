// Masked and read-only paths. They are done before the pivot, on fds found below the container's
// root: afterwards the host's /dev/null could no longer be cloned, since the kernel clones only
// what is mounted in the caller's mount namespace.
#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "runtime/init/detached.h"
#include "runtime/init/paths.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

// The host's, never the one in the image: a path masked with that would show whatever the image
// put there (CVE-2025-31133). Until the pivot, absolute paths are the host's.
long run(Context& c, const plan::HostNull& p) {
  const long fd = syscall(__NR_openat, AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail(c, Call::k_open, fd);
  const Kind kind = kind_of(fd);
  if (kind.error < 0 || kind.type != kCharacterType || kind.device != device_number(1, 3)) {
    close_fd(fd);
    return kind.error < 0 ? fail(c, Call::k_fstat, kind.error) : fail(c, Call::k_verify, -ENODEV);
  }
  c.fd(p.slot) = static_cast<int>(fd);
  return 0;
}

static long mask_file(Context& c, long target, long null) {
  const long tree = clone_tree(c, null, "", AT_EMPTY_PATH);
  if (tree < 0) return tree;
  const long r = attach(c, tree, target);
  done_with(c, tree);
  return r;
}

// All masked directories show one empty tmpfs; one each would cost the kernel per-CPU memory and
// the namespace's end a wait for every one of them. Before Linux 6.15 a detached mount cannot be
// cloned, so the first directory gets the original and the others clone it where it is attached.
static long mask_directory(Context& c, long target, const char* label) {
  if (c.mask_tmpfs < 0) {
    const long first = empty_tmpfs(c, label);
    if (first < 0) return first;
    const long r = attach(c, first, target);
    if (r < 0) {
      close_fd(first);
    } else {
      c.mask_tmpfs = static_cast<int>(first);
    }
    return r;
  }
  const long tree = clone_tree(c, c.mask_tmpfs, "", AT_EMPTY_PATH);
  if (tree < 0) return tree;
  const long r = attach(c, tree, target);
  done_with(c, tree);
  return r;
}

long run(Context& c, const plan::MaskPath& p) {
  const long target = open_below(c, c.str(p.path));
  if (target < 0) return target;
  const Kind kind = kind_of(target);
  long r = kind.error;
  if (r < 0) {
    fail(c, Call::k_fstat, r);
  } else if (kind.type == kDirectoryType) {
    r = mask_directory(c, target, c.str(p.label));
  } else {
    r = mask_file(c, target, c.fd(p.null));
  }
  done_with(c, target);
  return r;
}

// A clone of the path with all that is mounted below it, read-only before anyone can see it. The
// other attributes of the mount it is cloned from stay.
long run(Context& c, const plan::ReadonlyPath& p) {
  const long target = open_below(c, c.str(p.path));
  if (target < 0) return target;
  const long tree = clone_tree(c, target, "", AT_EMPTY_PATH | AT_RECURSIVE);
  long r = tree;
  if (tree >= 0) r = set_attr(c, tree, MOUNT_ATTR_RDONLY, AT_RECURSIVE);
  if (r == 0) r = attach(c, tree, target);
  done_with(c, target, tree);
  return r;
}

}  // namespace coracle::init
