// The shim's socket: many connections, each with many calls in flight. Whoever handles a call may
// answer at once, later, or (if the connection has gone) never.
//
// An answer that cannot be sent for want of memory is tried again for a while; what cannot be sent
// at all ends the connection, so that nobody waits for it.
//
// Bounds: kMaxConnections, kMaxCalls unanswered of a connection; a peer that does not read what it
// asked for is not read from either. A peer that breaks the protocol gets an error for that stream;
// only what cannot be a frame's header ends nothing, for any ten bytes are one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/sys/fd.h"
#include "shim/containerd/ttrpc.h"
#include "shim/loop.h"

namespace coracle::shim {

// Whom to answer. Connections are never given the number of an earlier one.
struct Call {
  uint64_t connection = 0;
  uint32_t stream = 0;
};

class Server {
 public:
  using Handler = std::function<void(Call call, const ttrpc::Request& request)>;
  using Connected = std::function<void()>;  // somebody has connected
  static constexpr size_t kMaxConnections = 4096;
  static constexpr size_t kMaxCalls = 16384;

  Server(Loop& loop, sys::Fd listener, Handler handler, Connected connected);

  void reply(Call call, std::string_view payload);
  void refuse(Call call, ttrpc::Code code, std::string_view message);
  // No new connection, and who waits for one is turned away; those that are there stay.
  void stop_listening();

 private:
  struct Connection {
    sys::Fd socket;
    ttrpc::Parser parser;
    std::string out;
    size_t sent = 0;  // bytes of `out`
    size_t calls = 0;
    uint32_t last_stream = 0;
    int retries = 0;       // of a send that the kernel had no memory for
    bool waiting = false;  // for the next one
    bool ended = false;    // to be dropped
    Watch watch;
  };

  void accept();
  void serve(uint64_t id, uint32_t events);
  void read_from(uint64_t id, Connection& c);
  void take_frames(uint64_t id, Connection& c);
  void take(uint64_t id, Connection& c, const ttrpc::Frame& frame);
  void answer(Call call, const ttrpc::Status& status, std::string_view payload);
  void flush(uint64_t id, Connection& c);
  bool retry_later(uint64_t id, Connection& c, int error);
  void settle(uint64_t id);

  Loop& loop_;
  sys::Fd listener_;
  Handler handler_;
  Connected connected_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  Watch watch_;
};

}  // namespace coracle::shim
