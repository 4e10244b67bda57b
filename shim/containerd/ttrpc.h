// ttrpc on the wire (github.com/containerd/ttrpc, PROTOCOL.md): frames, and the envelopes of
// requests and responses. Pure: bytes in, bytes out; sockets are in server.h and client.h.
//
//   length  u32 BE | stream u32 BE | type u8 | flags u8 | `length` bytes
//
// A client numbers its streams 1, 3, 5, ...; the answer has the number of its request. Answers come
// in any order. There is no message to cancel a request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coracle::shim::ttrpc {

inline constexpr size_t kHeaderSize = 10;
inline constexpr size_t kMaxPayload = 4 << 20;  // PROTOCOL.md: "4MB"

enum class Type : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

// google.rpc.Code, as far as a shim says or hears it.
enum class Code : uint32_t {
  kOk = 0,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
};

struct Frame {
  uint32_t stream = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
  bool too_large = false;    // more than kMaxPayload: the payload was thrown away
  std::string_view payload;  // valid until the parser is used again
};

// Cuts a stream of bytes into frames. What it holds is at most one frame that has come in part, so
// a length that is only claimed costs nothing.
class Parser {
 public:
  void add(std::string_view bytes);
  // The next whole frame, if there is one. A frame that is too large is told of as soon as its
  // header is there; its bytes are passed over as they come.
  std::optional<Frame> next();
  size_t held() const { return buffer_.size(); }

 private:
  std::string buffer_;
  size_t done_ = 0;    // bytes of the buffer that were handed out
  uint64_t skip_ = 0;  // bytes still to come of a frame that is too large
};

std::string make_frame(uint32_t stream, Type type, std::string_view payload);

struct Status {
  Code code = Code::kOk;
  std::string message;
};

struct Request {
  std::string_view service;
  std::string_view method;
  std::string_view payload;
  int64_t timeout_ns = 0;  // 0: none
};

// Nothing if the bytes are no message. Views of `bytes`.
std::optional<Request> parse_request(std::string_view bytes);
std::string request_payload(const Request& request);

struct Response {
  Status status;
  std::string_view payload;
};
std::optional<Response> parse_response(std::string_view bytes);
std::string response_payload(const Status& status, std::string_view payload);

}  // namespace coracle::shim::ttrpc
