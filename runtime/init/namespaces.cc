// The new cgroup namespace and the loopback device.
#include "runtime/init/namespaces.h"

#include <linux/fcntl.h>
#include <linux/if.h>
#include <linux/sched.h>

#include "runtime/init/detached.h"
#include "runtime/init/init.h"
#include "runtime/init/syscall.h"

namespace coracle::init {

using plan::Call;

long enter_time_namespace(const char* text) {
  long r = syscall(__NR_unshare, CLONE_NEWTIME);
  if (r < 0) return r;
  const long fd = syscall(__NR_openat, AT_FDCWD, "/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  size_t size = 0;
  while (text[size] != '\0') ++size;
  r = syscall(__NR_write, fd, text, size);
  close_fd(fd);
  return r < 0 ? r : 0;
}

// After the init is in its cgroup, so that the root of a new namespace is the container's own
// cgroup (cgroup_namespaces(7)). An existing one is joined then, too: where cgroup2 is mounted with
// nsdelegate, as systemd does, nobody is put into a cgroup from a namespace whose root is not above
// both his old and his new one (cgroup_procs_write_permission: ENOENT).
long run(Context& c, const plan::CgroupNamespace& p) {
  if (p.slot == plan::kNoSlot) {
    const long r = syscall(__NR_unshare, CLONE_NEWCGROUP);
    return r < 0 ? fail(c, Call::k_unshare, r) : 0;
  }
  const long r = syscall(__NR_setns, c.fd(p.slot), CLONE_NEWCGROUP);
  return r < 0 ? fail(c, Call::k_setns, r) : 0;
}

// Not in the spec, expected by everybody: a new network namespace has `lo` down.
long run(Context& c, const plan::LoopbackUp&) {
  constexpr int kAfInet = 2, kSockDgramCloexec = 2 | 02000000;
  constexpr unsigned kSiocSetFlags = 0x8914;
  const long fd = syscall(__NR_socket, kAfInet, kSockDgramCloexec, 0);
  if (fd < 0) return fail(c, Call::k_socket, fd);
  struct ifreq request {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;  // of the flags it has by birth (IFF_LOOPBACK) none can be changed
  const long r = syscall(__NR_ioctl, fd, kSiocSetFlags, &request);
  done_with(c, fd);
  return r < 0 ? fail(c, Call::k_ioctl, r) : 0;
}

}  // namespace coracle::init
