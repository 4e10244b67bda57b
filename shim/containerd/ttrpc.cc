#include "shim/containerd/ttrpc.h"

#include <algorithm>

#include "runtime/sys/protobuf.h"

namespace coracle::shim::ttrpc {

using sys::ProtoReader;
using sys::ProtoWriter;

namespace {

uint32_t read_u32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

void write_u32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

}  // namespace

void Parser::add(std::string_view bytes) {
  const size_t passed = std::min<uint64_t>(skip_, bytes.size());
  skip_ -= passed;
  bytes.remove_prefix(passed);
  buffer_.erase(0, done_);
  done_ = 0;
  buffer_.append(bytes);
}

std::optional<Frame> Parser::next() {
  const size_t there = buffer_.size() - done_;
  if (there < kHeaderSize) {
    // Nothing is left of a large frame but its memory.
    if (there == 0) std::string().swap(buffer_), done_ = 0;
    return std::nullopt;
  }
  const char* header = buffer_.data() + done_;
  const size_t length = read_u32(header);
  Frame frame;
  frame.stream = read_u32(header + 4);
  frame.type = static_cast<uint8_t>(header[8]);
  frame.flags = static_cast<uint8_t>(header[9]);
  if (length > kMaxPayload) {
    frame.too_large = true;
    const size_t here = std::min(length, there - kHeaderSize);
    skip_ = length - here;
    done_ += kHeaderSize + here;
    return frame;
  }
  if (there - kHeaderSize < length) return std::nullopt;
  frame.payload = std::string_view(header + kHeaderSize, length);
  done_ += kHeaderSize + length;
  return frame;
}

std::string make_frame(uint32_t stream, Type type, std::string_view payload) {
  std::string out;
  out.reserve(kHeaderSize + payload.size());
  write_u32(out, static_cast<uint32_t>(payload.size()));
  write_u32(out, stream);
  out.push_back(static_cast<char>(type));
  out.push_back(0);  // flags: of streams only
  out.append(payload);
  return out;
}

std::optional<Request> parse_request(std::string_view bytes) {
  Request out;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) out.service = in.bytes();
    if (in.field() == 2) out.method = in.bytes();
    if (in.field() == 3) out.payload = in.bytes();
    if (in.field() == 4) out.timeout_ns = static_cast<int64_t>(in.number());
  }
  if (!in.ok()) return std::nullopt;
  return out;
}

std::string request_payload(const Request& request) {
  ProtoWriter out;
  out.bytes(1, request.service).bytes(2, request.method).bytes(3, request.payload);
  return out.signed_number(4, request.timeout_ns).take();
}

std::optional<Response> parse_response(std::string_view bytes) {
  Response out;
  ProtoReader in(bytes);
  bool well_formed = true;
  while (in.next()) {
    if (in.field() == 2) out.payload = in.bytes();
    if (in.field() != 1) continue;
    ProtoReader status(in.bytes());
    while (status.next()) {
      if (status.field() == 1) out.status.code = static_cast<Code>(status.number());
      if (status.field() == 2) out.status.message = status.bytes();
    }
    well_formed = well_formed && status.ok();
  }
  if (!in.ok() || !well_formed) return std::nullopt;
  return out;
}

// Success has no status, as Go's server leaves it out.
std::string response_payload(const Status& status, std::string_view payload) {
  ProtoWriter out;
  if (status.code != Code::kOk) {
    out.message(
        1, ProtoWriter().number(1, static_cast<uint32_t>(status.code)).bytes(2, status.message));
  }
  return out.bytes(2, payload).take();
}

}  // namespace coracle::shim::ttrpc
