// ttrpc frames: cut the same whether the bytes come at once or in pieces; requests and responses in
// them are read back as they were written.
#include <algorithm>

#include "shim/containerd/ttrpc.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle::shim;
namespace fuzz = coracle::fuzz;
using fuzz::require;

namespace {

struct Frame {
  uint32_t stream;
  uint8_t type, flags;
  bool too_large;
  std::string payload;
  bool operator==(const Frame&) const = default;
};

// `piece`: bytes at a time; 0: all.
std::vector<Frame> frames_of(std::string_view bytes, size_t piece) {
  std::vector<Frame> out;
  ttrpc::Parser parser;
  while (!bytes.empty()) {
    const size_t size = piece == 0 ? bytes.size() : std::min(piece, bytes.size());
    parser.add(bytes.substr(0, size));
    bytes.remove_prefix(size);
    while (const auto frame = parser.next())
      out.push_back({frame->stream, frame->type, frame->flags, frame->too_large,
                     std::string(frame->payload)});
    require(parser.held() <= ttrpc::kMaxPayload + ttrpc::kHeaderSize, "what is held is bounded");
  }
  return out;
}

void read_request(std::string_view payload) {
  const auto request = ttrpc::parse_request(payload);
  if (!request) return;
  const std::string written = ttrpc::request_payload(*request);
  const auto back = ttrpc::parse_request(written);
  require(back && back->service == request->service && back->method == request->method &&
              back->payload == request->payload && back->timeout_ns == request->timeout_ns,
          "a request is read back", written);
}

void read_response(std::string_view payload) {
  const auto response = ttrpc::parse_response(payload);
  if (!response) return;
  const std::string written = ttrpc::response_payload(response->status, response->payload);
  const auto back = ttrpc::parse_response(written);
  require(back && back->status.code == response->status.code && back->payload == response->payload,
          "a response is read back", written);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  const std::vector<Frame> frames = frames_of(bytes, 0);
  require(frames_of(bytes, 1) == frames, "frames do not depend on how they come");
  require(frames_of(bytes, 7) == frames, "frames do not depend on how they come");
  for (const Frame& frame : frames) {
    read_request(frame.payload);
    read_response(frame.payload);
  }
  return 0;
}
