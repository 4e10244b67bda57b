// The parent's end of the sync socket: the messages of runtime/plan/format.h, and what a failure
// of the init means for the parent.
#pragma once

#include <optional>

#include "runtime/plan/format.h"
#include "runtime/sys/fd.h"

namespace coracle::engine {

struct Received {
  plan::Message message{};
  sys::Fd descriptor;  // with kDescriptor
};

class Channel {
 public:
  Channel() = default;
  explicit Channel(sys::Fd socket) : socket_(std::move(socket)) {}

  // Tells the other side to go on. 0 or -errno (EPIPE: it is gone).
  [[nodiscard]] int send_go(uint16_t step);
  // The next message; nothing when the other side is gone (or has executed the program), or cannot
  // be heard.
  [[nodiscard]] std::optional<Received> receive();
  int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }

 private:
  sys::Fd socket_;
};

}  // namespace coracle::engine
