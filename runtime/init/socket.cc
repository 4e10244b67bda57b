#include "runtime/init/socket.h"

#include <asm/errno.h>

#include "runtime/init/syscall.h"

namespace coracle::init {

// The kernel's own layouts (include/linux/socket.h); the libc's headers cannot be used here.
struct KernelIovec {
  const void* base;
  size_t length;
};
struct KernelMessage {
  void* name;
  int name_length;
  KernelIovec* vector;
  size_t vector_length;
  void* control;
  size_t control_length;
  unsigned flags;
};
struct ControlWithFd {
  size_t length;
  int level;
  int type;
  int fd;
  int padding;
};
static constexpr int kSolSocket = 1;
static constexpr int kScmRights = 1;
static constexpr int kMsgNoSignal = 0x4000;

long send_with_fd(int socket, const void* data, size_t size, int fd) {
  KernelIovec vector{data, size};
  ControlWithFd control{sizeof(size_t) + 3 * sizeof(int), kSolSocket, kScmRights, fd, 0};
  KernelMessage message{};
  message.vector = &vector;
  message.vector_length = 1;
  if (fd >= 0) {
    message.control = &control;
    message.control_length = sizeof(control);
  }
  long sent;
  do {
    sent = syscall(__NR_sendmsg, socket, &message, kMsgNoSignal);
  } while (sent == -EINTR);
  return sent < 0 ? sent : 0;
}

long receive_fd(int socket) {
  constexpr int kCloexec = 0x40000000;  // MSG_CMSG_CLOEXEC
  char byte = 0;
  KernelIovec vector{&byte, 1};
  ControlWithFd control{};
  KernelMessage message{};
  message.vector = &vector;
  message.vector_length = 1;
  message.control = &control;
  message.control_length = sizeof(control);
  long got;
  do {
    got = syscall(__NR_recvmsg, socket, &message, kCloexec);
  } while (got == -EINTR);
  if (got < 0) return got;
  const bool has_fd = got == 1 && control.length == sizeof(size_t) + 3 * sizeof(int) &&
                      control.level == kSolSocket && control.type == kScmRights;
  return has_fd ? control.fd : -ENODATA;
}

}  // namespace coracle::init
