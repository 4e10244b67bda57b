// The loopback device of a new network namespace.
#include <linux/if.h>

#include "runtime/init/detached.h"
#include "runtime/init/init.h"
#include "runtime/init/syscall.h"

namespace coracle::init {

using plan::Call;

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
