// What `start` is told on its standard input, and what it answers. Pure.
//
// Until containerd 2.2 the input is the runtime options as an Any, or nothing, and the answer is
// the address as text. Since 2.3 the input is a BootstrapParams (api/runtime/bootstrap/v1): its
// first two fields are the ids that the command line has too, by which it can be told from an Any;
// and the answer may be a BootstrapResult, by which we say that we serve version 3 of the task
// service.
#pragma once

#include <string>
#include <string_view>

#include "shim/containerd/invocation.h"
#include "shim/containerd/messages.h"

namespace coracle::shim {

inline constexpr size_t kMaxInput = 10 << 20;  // bytes, as Go's shims have it

struct StartInput {
  bool is_bootstrap = false;
  bool debug = false;
  Any options;
  std::string ttrpc_address;  // path; "": not told
  std::string socket_dir;     // "": not told
};

// Throws spec::Error for bytes that are neither.
StartInput parse_start_input(std::string_view bytes, const Invocation& invocation);

// What containerd reads from standard output.
std::string start_answer(const StartInput& input, const std::string& address);

// The path of the shim's socket: one for all containers with the same group (annotations), else one
// a container. `group`: "" for none. The name, 32 hexadecimal digits, fits into sun_path behind
// containerd's directory.
std::string socket_path(const StartInput& input, const Invocation& invocation,
                        std::string_view group);

}  // namespace coracle::shim
