// The fds that the program inherits: stdio and those it was promised, no others.
#include <asm/errno.h>
#include <asm/stat.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>

#include "runtime/init/descriptor.h"
#include "runtime/init/detached.h"
#include "runtime/init/init.h"
#include "runtime/init/open.h"
#include "runtime/init/syscall.h"
#include "runtime/init/walk.h"

namespace coracle::init {

using plan::Call;
using plan::Step;

// Index of the step whose payload this is: payloads lie in the plan's block.
static uint16_t step_of(const Context& c, const void* payload) {
  const auto* steps = c.base + c.header().steps;
  const auto distance = static_cast<const unsigned char*>(payload) - steps;
  return static_cast<uint16_t>(static_cast<size_t>(distance) / sizeof(Step));
}

long hand_over(Context& c, const void* payload, long fd) {
  const long r =
      send_message(c, plan::MessageKind::kDescriptor, step_of(c, payload), 0, static_cast<int>(fd));
  close_fd(fd);
  return r < 0 ? fail(c, Call::k_sendmsg, r) : 0;
}

void warn(Context& c, const void* payload, long error) {
  send_message(c, plan::MessageKind::kWarning, step_of(c, payload), error);
}

// Pipes and files, which the program may open anew as /dev/stdout. Not so a device, which is the
// machine's (/dev/null) or the caller's (a terminal); nor a file that is only read, unless no path
// leads to it: it is somebody's, who has only lent it (`run </etc/shadow`). Nobody can open a
// socket by a path.
static bool is_for_the_program(long fd, const struct stat& st) {
  constexpr unsigned kPipeType = 0010000;
  if ((st.st_mode & kTypeMask) == kPipeType) return true;
  if (!is_regular(st.st_mode)) return false;
  const long flags = syscall(__NR_fcntl, fd, F_GETFL);
  return st.st_nlink == 0 || (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY);
}

// A stream that cannot be given away stays as it is: a read-only file system, a file whose owner is
// not mapped here, a pipe that refuses.
long run(Context& c, const plan::StdioOwner& p) {
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat st {};
    if (syscall(__NR_fstat, fd, &st) < 0) continue;  // the caller gave none
    if (!is_for_the_program(fd, st) || st.st_uid == p.uid) continue;
    const long r = syscall(__NR_fchown, fd, p.uid, -1);
    if (r < 0 && r != -EPERM && r != -EROFS && r != -EINVAL && r != -ENOSYS)
      return fail(c, Call::k_chown, r, static_cast<uint32_t>(fd));
  }
  return 0;
}

namespace {

// Up to three fds in ascending order, without doubles.
struct Kept {
  int fds[3];
  int count = 0;

  void add(int fd) {
    if (fd < 0) return;
    int at = count;
    while (at > 0 && fds[at - 1] > fd) --at;
    if (at > 0 && fds[at - 1] == fd) return;
    for (int i = count; i > at; --i) fds[i] = fds[i - 1];
    fds[at] = fd;
    ++count;
  }
};

}  // namespace

// Closed, not only marked: execve looks up the program's path while close-on-exec fds are still
// open, and a path through /proc/self/fd would find the host behind one of them (CVE-2024-21626).
long run(Context& c, const plan::PreserveFds& p) {
  Kept kept;
  kept.add(c.sync);
  kept.add(c.start);
  if (p.keep != plan::kNoSlot) kept.add(c.fd(p.keep));
  unsigned from = p.first;
  for (int i = 0; i < kept.count; ++i) {
    const auto fd = static_cast<unsigned>(kept.fds[i]);
    const long flag = syscall(__NR_fcntl, fd, F_SETFD, FD_CLOEXEC);
    if (flag < 0) return fail(c, Call::k_verify, flag, fd);
    if (fd < p.first) return fail(c, Call::k_verify, -EBADF, fd);  // promised to the program
    if (fd > from) {
      const long r = syscall(__NR_close_range, from, fd - 1, 0);
      if (r < 0) return fail(c, Call::k_close_range, r);
    }
    from = fd + 1;
  }
  const long r = syscall(__NR_close_range, from, ~0U, 0);
  c.root = c.procfs = c.mask_tmpfs = -1;
  return r < 0 ? fail(c, Call::k_close_range, r) : 0;
}

}  // namespace coracle::init
