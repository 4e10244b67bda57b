#include "shim/containerd/server.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "runtime/log.h"
#include "runtime/sys/unix_socket.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using ttrpc::Code;
using ttrpc::Frame;
using ttrpc::Status;

namespace {

constexpr size_t kBacklog = 1 << 20;  // bytes unsent, from which on a peer is not read from

Status check_stream(const Frame& frame, uint32_t last_stream) {
  if (frame.stream % 2 != 1)
    return {Code::kInvalidArgument, "StreamID must be odd for client initiated streams"};
  if (frame.stream <= last_stream)
    return {Code::kInvalidArgument, "StreamID cannot be re-used and must increment"};
  if (frame.too_large) {
    return {Code::kResourceExhausted,
            spec::cat("message length exceeds maximum message size ", ttrpc::kMaxPayload)};
  }
  return {};
}

}  // namespace

Server::Server(Loop& loop, sys::Fd listener, Handler handler, Connected connected)
    : loop_(loop),
      listener_(std::move(listener)),
      handler_(std::move(handler)),
      connected_(std::move(connected)),
      watch_(loop, listener_, EPOLLIN, [this](uint32_t) { accept(); }) {}

void Server::stop_listening() {
  watch_.reset();
  listener_.reset();
}

void Server::accept() {
  for (;;) {
    const bool full = connections_.size() >= kMaxConnections;
    sys::Fd socket = full ? sys::Fd(-EMFILE) : sys::accept_own(listener_);
    if (socket.error() == EAGAIN) return;
    if (socket.error() == EACCES || socket.error() == ECONNABORTED) continue;  // turned away, gone
    if (!socket) {
      // Too many descriptors, or peers: later, lest the waiting connection keeps us busy.
      constexpr int kPauseMs = 100;
      log::warning(spec::cat("a connection has to wait: ", connections_.size(), " are open"));
      watch_.want(0);
      loop_.after(kPauseMs, [this] { watch_.want(EPOLLIN); });
      return;
    }
    const uint64_t id = ++last_id_;
    auto& c = *connections_.emplace(id, std::make_unique<Connection>()).first->second;
    c.socket = std::move(socket);
    c.watch = Watch(loop_, c.socket, EPOLLIN, [this, id](uint32_t e) { serve(id, e); });
    connected_();
  }
}

void Server::serve(uint64_t id, uint32_t events) {
  Connection& c = *connections_.at(id);
  if ((events & EPOLLOUT) != 0) flush(id, c);
  // What is in flight when the peer hangs up is read to its end; answers are lost on it.
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_from(id, c);
  settle(id);
}

void Server::read_from(uint64_t id, Connection& c) {
  char bytes[4096];  // more than most requests
  for (;;) {
    const ssize_t n = recv(c.socket.get(), bytes, sizeof(bytes), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    c.ended = n <= 0;
    if (c.ended) return;
    c.parser.add({bytes, static_cast<size_t>(n)});
    take_frames(id, c);
    if (c.out.size() > kBacklog || static_cast<size_t>(n) < sizeof(bytes)) return;
  }
}

void Server::take_frames(uint64_t id, Connection& c) {
  while (const std::optional<Frame> frame = c.parser.next()) take(id, c, *frame);
}

// Anything but a request is not for a server of unary calls (PROTOCOL.md: unknown types are
// ignored).
void Server::take(uint64_t id, Connection& c, const Frame& frame) {
  if (frame.type != static_cast<uint8_t>(ttrpc::Type::kRequest)) return;
  const Call call{id, frame.stream};
  ++c.calls;
  const Status status = check_stream(frame, c.last_stream);
  if (status.code != Code::kOk) return answer(call, status, "");
  c.last_stream = frame.stream;
  if (c.calls > kMaxCalls) return refuse(call, Code::kResourceExhausted, "too many calls");
  const std::optional<ttrpc::Request> request = ttrpc::parse_request(frame.payload);
  if (!request) return refuse(call, Code::kInvalidArgument, "the request is malformed");
  handler_(call, *request);
}

void Server::reply(Call call, std::string_view payload) {
  constexpr size_t kEnvelope = 16;
  if (payload.size() > ttrpc::kMaxPayload - kEnvelope)
    return refuse(call, Code::kResourceExhausted, "the answer is too large");
  answer(call, {}, payload);
}

void Server::refuse(Call call, Code code, std::string_view message) {
  answer(call, {code, std::string(message)}, "");
}

void Server::answer(Call call, const Status& status, std::string_view payload) {
  const auto found = connections_.find(call.connection);
  if (found == connections_.end()) return;  // who asked has gone
  Connection& c = *found->second;
  --c.calls;
  c.out += ttrpc::make_frame(call.stream, ttrpc::Type::kResponse,
                             ttrpc::response_payload(status, payload));
  flush(call.connection, c);
}

// send(2): ENOBUFS and ENOMEM pass. False: it is not worth another try.
bool Server::retry_later(uint64_t id, Connection& c, int error) {
  constexpr int kPauseMs = 50;
  constexpr int kMostRetries = 100;
  if ((error != ENOBUFS && error != ENOMEM) || ++c.retries > kMostRetries) return false;
  c.waiting = true;
  loop_.after(kPauseMs, [this, id] {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    found->second->waiting = false;
    flush(id, *found->second);
  });
  return true;
}

void Server::flush(uint64_t id, Connection& c) {
  while (c.sent < c.out.size() && !c.waiting) {
    const ssize_t n =
        send(c.socket.get(), c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || retry_later(id, c, errno))) break;
    if (n < 0) {
      if (errno != EPIPE && errno != ECONNRESET)
        log::warning(spec::Error("failed to send an answer", errno).what());
      shutdown(c.socket.get(), SHUT_RDWR);  // heard as a hang-up, by the peer and by us
      c.sent = c.out.size();
      break;
    }
    c.sent += static_cast<size_t>(n);
    c.retries = 0;
  }
  if (c.sent == c.out.size()) {
    std::string().swap(c.out);
    c.sent = 0;
  }
  uint32_t events = 0;
  if (!c.out.empty() && !c.waiting) events |= EPOLLOUT;
  if (c.out.size() <= kBacklog) events |= EPOLLIN;
  c.watch.want(events);
}

void Server::settle(uint64_t id) {
  if (connections_.at(id)->ended) connections_.erase(id);
}

}  // namespace coracle::shim
