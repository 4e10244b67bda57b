// The runtime options of containerd: as messages, and as TOML. The first byte says which.
#include "runtime/sys/protobuf.h"
#include "shim/containerd/options.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle::shim;
namespace fuzz = coracle::fuzz;

namespace {

void read_options(const Any& any) {
  std::vector<std::string> warnings;
  parse_options(any, warnings);
  fuzz::require_printable(warnings);
}

void read(size_t kind, std::string_view bytes) {
  const std::string text(bytes);
  switch (kind) {
    case 0:
      return read_options({"containerd.runc.v1.Options", text});
    case 1:
      return read_options({"containerd.linux.runc.CreateOptions", text});
    case 2:  // a message with a path would be read from there
      return read_options(
          {"runtimeoptions.v1.Options", coracle::sys::ProtoWriter().message(3, bytes).take()});
    case 3:
      parse_checkpoint_options({"containerd.runc.v1.CheckpointOptions", text});
      return;
    case 4:
      parse_checkpoint_options({"containerd.linux.runc.CheckpointOptions", text});
      return;
    default:
      return read_options({text, ""});
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = fuzz::text_of(data, size);
  const size_t kind = fuzz::take_choice(bytes, 6);
  if (kind == 5 && bytes.ends_with("runtimeoptions.v1.Options")) return 0;
  fuzz::accepts([&] { read(kind, bytes); });
  return 0;
}
