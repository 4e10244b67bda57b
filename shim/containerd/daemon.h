// The process that stays behind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/sys/fd.h"

namespace coracle::shim {

// What `start` tells the daemon beside the listening socket.
struct DaemonSettings {
  std::string name_space;
  std::string ttrpc_address;
  std::string socket;  // path
  std::string log;     // path of containerd's fifo
  bool debug = false;
  uint32_t idle_ms = 30'000;  // how long it stays without a container
};
// Waits until the daemon at the other end of `channel` serves. Throws spec::Error if it ends
// before.
void await_daemon(const sys::Fd& channel);
std::string to_bytes(const DaemonSettings& settings);

// Waits for its settings on `channel`, answers with one byte as soon as it serves, serves until
// Shutdown, and returns the exit status. If nothing comes (another shim serves the group, or
// `start` failed) it returns at once. Throws spec::Error.
int serve(sys::Fd channel);

}  // namespace coracle::shim
