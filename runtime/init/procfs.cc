#include "runtime/init/procfs.h"

#include <asm/errno.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/prctl.h>

#include "runtime/init/open.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

static constexpr long kProcRootInode = 1;  // PROC_ROOT_INO

long new_procfs(Context& c, bool pids_only) {
  const long fs = syscall(__NR_fsopen, "proc", FSOPEN_CLOEXEC);
  if (fs < 0) return fail(c, Call::k_fsopen, fs);
  long r = 0;
  if (pids_only) r = syscall(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "subset", "pid", 0);
  if (r >= 0) r = syscall(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
  if (r < 0) {
    fail(c, Call::k_fsconfig, r);
  } else {
    r = syscall(__NR_fsmount, fs, FSMOUNT_CLOEXEC,
                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (r < 0) fail(c, Call::k_fsmount, r);
  }
  close_fd(fs);
  return r;
}

// Only a procfs at its root, not a directory of one bound here.
static bool is_procfs_root(long fd) {
  struct statfs fs {};
  struct stat st {};
  return syscall(__NR_fstatfs, fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
         syscall(__NR_fstat, fd, &st) == 0 && static_cast<long>(st.st_ino) == kProcRootInode;
}

static long container_procfs(const Context& c) {
  const RootDir root(c);
  if (root.fd() < 0) return root.fd();
  const long fd = open_at(root.fd(), "proc", O_PATH | O_DIRECTORY, kStrict);
  if (fd < 0 || is_procfs_root(fd)) return fd;
  close_fd(fd);
  return -EPERM;
}

long own_procfs(Context& c) {
  if (c.procfs >= 0) return c.procfs;
  long fd = new_procfs(c, true);
  if (fd == -EPERM) {
    const long there = container_procfs(c);
    if (there >= 0) fd = there;  // else the first refusal is the one to tell
  }
  if (fd >= 0) c.procfs = static_cast<int>(fd);
  return fd;
}

static bool same_filesystem(long a, long b) {
  struct stat x {
  }, y{};
  return syscall(__NR_fstat, a, &x) == 0 && syscall(__NR_fstat, b, &y) == 0 && x.st_dev == y.st_dev;
}

long write_proc(Context& c, long proc, const char* path, const char* value, size_t size) {
  const long fd = open_at(proc, path, O_WRONLY | O_NOCTTY, kStrict | RESOLVE_NO_XDEV);
  if (fd < 0) {
    detail(c).put(path);
    return fail(c, Call::k_openat2, fd);
  }
  long r = same_filesystem(proc, fd) ? 0 : -EXDEV;
  if (r < 0) {
    fail(c, Call::k_verify, r);
  } else {
    r = syscall(__NR_write, fd, value, size);
    if (r >= 0 && static_cast<size_t>(r) != size) r = -EIO;
    if (r < 0) {
      detail(c).put(path);
      fail(c, Call::k_write, r);
    }
  }
  close_fd(fd);
  return r < 0 ? r : 0;
}

// "PID/name" in c.path. The PID is what the symlink "self" says, which itself is not followed: our
// number in the pid namespace of that procfs, whichever it is.
static long own_path(Context& c, long proc, const char* name) {
  const long n = syscall(__NR_readlinkat, proc, "self", c.path, 32);
  if (n < 0) return fail(c, Call::k_readlink, n);
  Line path{c.path, sizeof(c.path), static_cast<size_t>(n)};
  path.put('/').put(name);
  return 0;
}

// Before the init joins anything: "/" is still the host's. The files of a process that is not
// dumpable are root's; to be dumpable does no harm as long as nothing of a container's can have
// rights over the user namespace that the init is in, the runtime's.
long run(Context& c, const plan::OomScoreAdj& p) {
  char digits[16];
  Line text{digits, sizeof(digits)};
  if (p.value < 0) text.put('-');
  text.number(static_cast<uint64_t>(p.value < 0 ? -static_cast<int64_t>(p.value) : p.value));
  ignore(syscall(__NR_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));  // else the open says so
  const long fd = syscall(__NR_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  const long hidden = syscall(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (fd < 0) return fail(c, Call::k_open, fd);
  const long r = syscall(__NR_write, fd, digits, text.used);
  close_fd(fd);
  if (hidden < 0) return fail(c, Call::k_prctl, hidden);
  return r < 0 ? fail(c, Call::k_write, r) : 0;
}

// The host's /proc serves where no instance of one's own can be had: an ordinary user's init, which
// has joined nothing yet.
long run(Context& c, const plan::OpenProcfs&) {
  long fd = new_procfs(c, false);
  if (fd == -EPERM) {
    fd = syscall(__NR_openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && !is_procfs_root(fd)) {
      close_fd(fd);
      fd = -EPERM;
    }
  }
  if (fd < 0) return fail(c, Call::k_open, fd);
  c.procfs = static_cast<int>(fd);
  c.procfs_is_whole = true;
  return 0;
}

// Reading the attribute gives the context (SELinux: with a NUL or newline behind; AppArmor's exec
// attribute: "NAME (mode)" or "NAME") that the next exec will have.
static long verify_label(Context& c, long proc, const char* value) {
  const long fd = open_at(proc, c.path, O_RDONLY | O_NOCTTY, kStrict | RESOLVE_NO_XDEV);
  if (fd < 0) return fail(c, Call::k_openat2, fd);
  char* seen = c.path;  // a label has at most a page; the path has done its work
  const long n = syscall(__NR_read, fd, seen, sizeof(c.path));
  close_fd(fd);
  if (n < 0) return fail(c, Call::k_read, n);
  const size_t size = length(value), got = static_cast<size_t>(n);
  const bool same = got >= size && equal(seen, value, size) &&
                    (got == size || seen[size] == '\n' || seen[size] == '\0' || seen[size] == ' ');
  return same ? 0 : fail(c, Call::k_verify, -EPROTO);
}

// The value of an AppArmor attribute is a command, "exec NAME", and reads back as NAME.
static const char* label_in(const char* value) {
  return equal(value, "exec ", 5) ? value + 5 : value;
}

long run(Context& c, const plan::ProcessLabel& p) {
  const long proc = own_procfs(c);
  if (proc < 0) return proc;
  long r = own_path(c, proc, "attr/");
  if (r < 0) return r;
  Line path{c.path, sizeof(c.path), length(c.path)};
  path.put(c.str(p.attribute));
  const char* value = c.str(p.value);
  r = write_proc(c, proc, c.path, value, length(value));
  return r < 0 ? r : verify_label(c, proc, label_in(value));
}

}  // namespace coracle::init
