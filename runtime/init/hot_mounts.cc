// Changing the mounts of a container that runs: from inside its namespaces, in a process that is
// not one of its own.
#include <linux/fcntl.h>
#include <linux/sched.h>

#include "runtime/init/detached.h"
#include "runtime/init/paths.h"
#include "runtime/init/procfs.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

// "/" of the mount namespace is the container's root from here on (setns(2)).
long run(Context& c, const plan::EnterMounts& p) {
  const long r = syscall(__NR_setns, c.fd(p.slot), CLONE_NEWNS);
  if (r < 0) return fail(c, Call::k_setns, r);
  const long root = syscall(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return fail(c, Call::k_openat2, root);
  c.root = static_cast<int>(root);
  return 0;
}

// The file system call takes a path; that of the fd just found, through a procfs of our own, is
// the one that cannot be exchanged by a process of the container.
static long unmount(Context& c, long target) {
  const long proc = own_procfs(c);
  if (proc < 0) return proc;
  char path[32];
  Line{path, sizeof(path)}.put("self/fd/").number(static_cast<uint64_t>(target));
  long r = syscall(__NR_fchdir, proc);
  if (r < 0) return fail(c, Call::k_chdir, r);
  r = syscall(__NR_umount2, path, kDetach);
  return r < 0 ? fail(c, Call::k_umount, r) : 0;
}

long run(Context& c, const plan::Unmount& p) {
  const Target target = open_target(c, c.str(p.target), 0, Missing::kFail);
  if (target.fd < 0) return target.fd;
  const long r = unmount(c, target.fd);
  close_fd(target.fd);
  return r;
}

long run(Context&, const plan::Leave&) { exit_now(0); }

}  // namespace coracle::init
