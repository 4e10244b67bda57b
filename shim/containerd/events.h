// Events on their way to containerd (Events.Forward over ttrpc). One queue, one call in flight, so
// they arrive in the order of publish(). While containerd is away the head of the queue is kept and
// tried again; nothing waits for it but the queue.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "runtime/sys/fd.h"
#include "shim/containerd/messages.h"
#include "shim/containerd/ttrpc.h"
#include "shim/loop.h"

namespace coracle::shim {

class Publisher {
 public:
  // `address`: path of containerd's ttrpc socket; "": events are thrown away.
  Publisher(Loop& loop, std::string address, std::string name_space);
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // The event's time is now. Beyond kMost the oldest is lost, and the log says so.
  void publish(const Event& event);
  static constexpr size_t kMost = 2048;
  // Calls `act` when everything has arrived, at the latest after `ms`.
  void when_empty(int ms, std::function<void()> act);

 private:
  void send_next();
  bool connect();
  void disconnect();
  void retry();
  void ready(uint32_t events);
  void start_over();
  bool write();
  bool read();
  void take(const ttrpc::Frame& frame);
  void pop();
  void check_empty();

  Loop& loop_;
  std::string address_;
  std::string namespace_;
  std::deque<std::string> queue_;  // payloads of Forward
  sys::Fd socket_;
  ttrpc::Parser parser_;
  std::string out_;
  size_t sent_ = 0;
  uint32_t stream_ = 0;
  bool in_flight_ = false;
  int delay_ms_ = 0;  // before the next try
  uint64_t timer_ = 0;
  uint64_t end_timer_ = 0;
  std::function<void()> empty_;
  Watch watch_;
};

}  // namespace coracle::shim
