#include "shim/main.h"

#include <unistd.h>

#include <vector>

#include "runtime/commands/features.h"
#include "runtime/sys/protobuf.h"
#include "runtime/sys/stdio.h"
#include "shim/containerd/bootstrap.h"
#include "shim/containerd/invocation.h"
#include "shim/containerd/messages.h"
#include "shim/containerd/remove.h"
#include "shim/containerd/start.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

constexpr char kName[] = "io.containerd.coracle.v2";

// api/types/introspection.proto, RuntimeInfo. `options`: an Any, as it came.
std::string runtime_info(std::string_view options) {
  constexpr char kFeatures[] =
      "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
  const sys::ProtoWriter version = sys::ProtoWriter().bytes(1, CORACLE_VERSION);
  sys::ProtoWriter out;
  out.bytes(1, kName).message(2, version).bytes(3, options);
  return out.message(4, any_bytes(kFeatures, commands::features_text())).take();
}

void print(std::string_view text) {
  if (int r = sys::print(text)) throw Error("standard output", r);
}

}  // namespace

int run(int argc, char** argv, int& failure_status) {
  failure_status = 1;
  const Invocation invocation = parse_invocation({argv + 1, argv + argc});
  if (invocation.version) {
    print(cat("containerd-shim-coracle-v2:\n  Version:  ", CORACLE_VERSION, "\n"));
  } else if (invocation.info) {
    const std::string input = isatty(STDIN_FILENO) ? "" : read_input();
    parse_any(input);
    print(runtime_info(input));
  } else if (invocation.action == "start") {
    start(invocation);
  } else if (invocation.action == "delete") {
    remove_leftovers(invocation);
  } else {
    throw Error(cat("this is started by containerd, with the action start or delete, not ",
                    spec::quoted(invocation.action)));
  }
  return 0;
}

}  // namespace coracle::shim
