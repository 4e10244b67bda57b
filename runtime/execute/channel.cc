#include "runtime/execute/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

namespace coracle::execute {

int Channel::send_go(uint16_t step) {
  plan::Message m{};
  m.kind = plan::MessageKind::kGo;
  m.step = step;
  return send(socket_.get(), &m, sizeof(m), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static sys::Fd taken_descriptor(msghdr& header) {
  const cmsghdr* control = CMSG_FIRSTHDR(&header);
  if (control == nullptr || control->cmsg_type != SCM_RIGHTS) return sys::Fd();
  int fd = -1;
  memcpy(&fd, CMSG_DATA(control), sizeof(fd));
  return sys::Fd(fd);
}

std::optional<Received> Channel::receive() {
  Received received;
  iovec vector{&received.message, sizeof(received.message)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t n;
  do {
    n = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  // A short message cannot come from our init: SEQPACKET keeps records whole (unix(7)).
  if (n != static_cast<ssize_t>(sizeof(received.message))) return std::nullopt;
  received.message.text[sizeof(received.message.text) - 1] = '\0';
  received.descriptor = taken_descriptor(header);
  return received;
}

}  // namespace coracle::execute
