#include "runtime/engine/channel.h"

#include <errno.h>
#include <sys/socket.h>

#include "runtime/sys/unix_socket.h"

namespace coracle::engine {

int Channel::send_go(uint16_t step) {
  plan::Message m{};
  m.kind = plan::MessageKind::kGo;
  m.step = step;
  while (send(socket_.get(), &m, sizeof(m), MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return -errno;
  return 0;
}

std::optional<Received> Channel::receive() {
  Received received;
  const long n = sys::receive_with_fd(socket_, &received.message, sizeof(received.message),
                                      received.descriptor);
  // A short message cannot come from our init: SEQPACKET keeps records whole (unix(7)).
  if (n != static_cast<long>(sizeof(received.message))) return std::nullopt;
  received.message.text[sizeof(received.message.text) - 1] = '\0';
  return received;
}

}  // namespace coracle::engine
