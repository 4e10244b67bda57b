// D-Bus messages as bytes (D-Bus Specification, "Type System" and "Message Protocol"), as far as a
// conversation with systemd needs them. Pure: no system call.
//
// Native byte order only: both ends are on one machine. A message in the other order is refused.
//
// What comes in was written by others: every length is checked against the bytes that are there,
// no string is taken without its NUL, and nothing is allocated that the sender has not paid for
// with bytes of his own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace coracle::systemd {

// Marshals values one after the other; each is aligned by itself, counted from the start.
class Writer {
 public:
  Writer& u8(uint8_t value);
  Writer& u32(uint32_t value);            // also i, and b as 0 or 1
  Writer& u64(uint64_t value);            // also x
  Writer& string(std::string_view text);  // s, o
  Writer& signature(std::string_view text);
  Writer& begin_struct() { return align(8); }
  // An array of elements that are aligned to `alignment`; between the two come the elements.
  size_t begin_array(size_t alignment);
  void end_array(size_t array);

  Writer& align(size_t to);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  struct {
    size_t content = 0;  // where the elements of the array begin
  } open_[4];
  size_t depth_ = 0;
};

// Unmarshals. The first thing that does not fit makes it fail for good: is_good() is false and all
// reads give zero or "". The views point into the bytes given.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool is_good() const { return good_; }
  bool at_end() const { return at_ == bytes_.size(); }
  size_t position() const { return at_; }

  uint8_t u8();
  uint32_t u32();
  uint64_t u64();
  std::string_view string();     // s, o
  std::string_view signature();  // g
  void align(size_t to);
  // Passes over a value of a type that is not a container; fails for one that is.
  void skip(char type);

 private:
  std::string_view take(size_t size);
  std::string_view text(size_t size);

  std::string_view bytes_;
  size_t at_ = 0;
  bool good_ = true;
};

enum class MessageType : uint8_t { kCall = 1, kReturn = 2, kError = 3, kSignal = 4 };
inline constexpr uint8_t kNoReplyExpected = 1;

struct Message {
  MessageType type = MessageType::kCall;  // others than the four: to be ignored
  uint8_t flags = 0;
  uint32_t serial = 0;        // not 0
  uint32_t reply_serial = 0;  // of the call that a return or error answers; 0: none
  std::string path;
  std::string interface;
  std::string member;
  std::string error_name;
  std::string destination;
  std::string signature;  // of the body
  std::string body;
};

// No message of systemd's that concerns us comes near it; the specification allows 128 MiB.
inline constexpr size_t kMaxMessage = 1 << 20;
inline constexpr size_t kFixedHeader = 16;  // up to the length of the header's fields

std::string encode(const Message& message);

// The size of the message that begins with `start` (at least kFixedHeader bytes), 0 if that is no
// D-Bus message in our byte order or one larger than kMaxMessage.
size_t message_size(std::string_view start);

// `bytes` is one message, of the size that message_size gave. False if it is malformed.
bool decode(std::string_view bytes, Message& message);

}  // namespace coracle::systemd
