#include "shim/containerd/events.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/log.h"
#include "runtime/sys/pipe.h"
#include "runtime/sys/unix_socket.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;

namespace {
constexpr int kAnswerMs = 5000;
constexpr int kFirstDelayMs = 50;
constexpr int kLongestDelayMs = 5000;
}  // namespace

Publisher::Publisher(Loop& loop, std::string address, std::string name_space)
    : loop_(loop), address_(std::move(address)), namespace_(std::move(name_space)) {}

void Publisher::publish(const Event& event) {
  if (address_.empty()) return;
  log::debug(cat("event ", event.topic));
  queue_.push_back(forward_request(namespace_, sys::now(), event));
  if (queue_.size() > kMost) {
    // The head may be on its way.
    queue_.erase(queue_.begin() + (in_flight_ ? 1 : 0));
    log::warning("containerd does not take events: the oldest is lost");
  }
  if (timer_ == 0) send_next();
}

void Publisher::send_next() {
  if (in_flight_ || queue_.empty()) return;
  if (!socket_ && !connect()) return retry();
  stream_ += stream_ == 0 ? 1 : 2;
  ttrpc::Request request;
  request.service = "containerd.services.events.ttrpc.v1.Events";
  request.method = "Forward";
  request.payload = queue_.front();
  request.timeout_ns = int64_t{kAnswerMs} * 1'000'000;
  out_ = ttrpc::make_frame(stream_, ttrpc::Type::kRequest, ttrpc::request_payload(request));
  sent_ = 0;
  in_flight_ = true;
  timer_ = loop_.after(kAnswerMs, [this] {
    timer_ = 0;
    log::warning("containerd does not answer to an event");
    start_over();
  });
  if (!write()) start_over();
}

bool Publisher::connect() {
  socket_ = sys::connect_path(address_.c_str(), SOCK_STREAM | SOCK_NONBLOCK);
  if (!socket_) return false;
  watch_ = Watch(loop_, socket_, EPOLLIN, [this](uint32_t events) { ready(events); });
  return true;
}

void Publisher::disconnect() {
  watch_.reset();
  socket_.reset();
  parser_ = ttrpc::Parser();
  std::string().swap(out_);
  stream_ = 0;
  in_flight_ = false;
  loop_.cancel(timer_);
  timer_ = 0;
}

void Publisher::retry() {
  if (queue_.empty()) return;
  delay_ms_ = std::clamp(delay_ms_ * 2, kFirstDelayMs, kLongestDelayMs);
  timer_ = loop_.after(delay_ms_, [this] {
    timer_ = 0;
    send_next();
  });
}

void Publisher::ready(uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !write()) return start_over();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || read()) return;
  start_over();  // containerd has gone, with or without an answer
}

// With a connection of its own, for half of a request may be on the way.
void Publisher::start_over() {
  disconnect();
  retry();
}

// False: the rest cannot be sent, for want of memory or for good.
bool Publisher::write() {
  const ssize_t n = send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
  if (n > 0) sent_ += static_cast<size_t>(n);
  watch_.want(sent_ < out_.size() ? EPOLLIN | EPOLLOUT : EPOLLIN);
  return true;
}

// False: the connection has ended.
bool Publisher::read() {
  char bytes[4096];
  const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  parser_.add({bytes, static_cast<size_t>(n)});
  while (const std::optional<ttrpc::Frame> frame = parser_.next()) take(*frame);
  return true;
}

// An empty frame is an answer too: success.
void Publisher::take(const ttrpc::Frame& frame) {
  if (frame.type != static_cast<uint8_t>(ttrpc::Type::kResponse) || frame.stream != stream_ ||
      !in_flight_) {
    return;
  }
  const std::optional<ttrpc::Response> response = ttrpc::parse_response(frame.payload);
  if (response && response->status.code != ttrpc::Code::kOk)
    log::warning(cat("containerd refuses an event: ", response->status.message));
  pop();
}

void Publisher::pop() {
  loop_.cancel(timer_);
  timer_ = 0;
  in_flight_ = false;
  delay_ms_ = 0;
  queue_.pop_front();
  send_next();
  check_empty();
}

void Publisher::check_empty() {
  if (!empty_ || !queue_.empty()) return;
  loop_.cancel(end_timer_);
  std::exchange(empty_, nullptr)();
}

void Publisher::when_empty(int ms, std::function<void()> act) {
  empty_ = std::move(act);
  end_timer_ = loop_.after(ms, [this] {
    if (empty_) std::exchange(empty_, nullptr)();
  });
  check_empty();
}

}  // namespace coracle::shim
