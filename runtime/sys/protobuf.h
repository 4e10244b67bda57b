// Protocol Buffers on the wire (protobuf.dev, "Encoding"): fields in, fields out, no schema. A
// message is read in one loop over its fields; whoever reads it knows the numbers and types.
//
//   ProtoReader in(bytes);
//   while (in.next()) {
//     switch (in.field()) {
//       case 1: id = in.bytes(); break;
//       case 2: pid = in.number(); break;
//     }
//   }
//   if (!in.ok()) ...          the bytes are no message
//
// Safe against any input: nothing is read beyond the bytes, nothing is allocated, every step
// consumes at least one byte. Unknown fields are passed over. What makes a message malformed: a
// field cut short, a varint of more than ten bytes, field number 0 or above 2^29-1, a group (wire
// types 3 and 4, out of use since proto2), and a known field of another wire type than was asked
// for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace coracle::sys {

class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : left_(message) {}

  // Goes to the next field. False at the end, or where the bytes are no message (then not ok()).
  bool next();
  bool ok() const { return ok_; }

  uint32_t field() const { return field_; }
  // The value of a varint field; negative int32 and int64 come sign-extended to 64 bits. Not ok()
  // and 0 if the field is of another type.
  uint64_t number();
  // The value of a string, bytes or message field; a view of the message. Not ok() and "" if the
  // field is of another type.
  std::string_view bytes();

 private:
  enum Type : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  bool take_varint(uint64_t& out);
  bool take(uint64_t count, std::string_view& out);
  bool fail();

  std::string_view left_;
  std::string_view bytes_;
  uint64_t number_ = 0;
  uint32_t field_ = 0;
  Type type_ = kVarint;
  bool ok_ = true;
};

// Fields are appended in the order of the calls. What proto3 takes for absent is left out: 0 and
// "", but not an empty message.
class ProtoWriter {
 public:
  // bool, enum, uint32, uint64, and int32 and int64 that are not negative.
  ProtoWriter& number(uint32_t field, uint64_t value);
  // int32 and int64: a negative value takes ten bytes.
  ProtoWriter& signed_number(uint32_t field, int64_t value);
  // The same where proto2 tells 0 from absent: written whatever it is.
  ProtoWriter& present_number(uint32_t field, uint64_t value);
  ProtoWriter& real(uint32_t field, double value);
  ProtoWriter& bytes(uint32_t field, std::string_view value);
  // Written even if it is empty: a message's presence counts, and so does an element's of a list.
  ProtoWriter& message(uint32_t field, std::string_view value);
  ProtoWriter& message(uint32_t field, const ProtoWriter& value) {
    return message(field, value.text_);
  }

  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }

 private:
  void varint(uint64_t value);

  std::string text_;
};

}  // namespace coracle::sys
