#include "runtime/sys/protobuf.h"

#include <bit>

namespace coracle::sys {

bool ProtoReader::fail() {
  ok_ = false;
  left_ = {};
  return false;
}

bool ProtoReader::take_varint(uint64_t& out) {
  constexpr size_t kLongest = 10;  // bytes of 7 bits
  out = 0;
  for (size_t i = 0; i < kLongest && i < left_.size(); ++i) {
    const auto byte = static_cast<uint8_t>(left_[i]);
    out |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);  // bits beyond the 64th fall off
    if ((byte & 0x80) != 0) continue;
    left_.remove_prefix(i + 1);
    return true;
  }
  return false;
}

bool ProtoReader::take(uint64_t count, std::string_view& out) {
  if (count > left_.size()) return false;
  out = left_.substr(0, count);
  left_.remove_prefix(count);
  return true;
}

bool ProtoReader::next() {
  constexpr uint64_t kLastField = (1u << 29) - 1;
  if (!ok_ || left_.empty()) return false;
  uint64_t key = 0;
  if (!take_varint(key) || (key >> 3) == 0 || (key >> 3) > kLastField) return fail();
  field_ = static_cast<uint32_t>(key >> 3);
  type_ = static_cast<Type>(key & 7);
  number_ = 0;
  bytes_ = {};
  uint64_t length = 0;
  switch (type_) {
    case kVarint:
      return take_varint(number_) || fail();
    case kFixed64:
      return take(8, bytes_) || fail();
    case kBytes:
      return (take_varint(length) && take(length, bytes_)) || fail();
    case kFixed32:
      return take(4, bytes_) || fail();
  }
  return fail();
}

uint64_t ProtoReader::number() {
  if (type_ != kVarint) fail();
  return number_;
}

std::string_view ProtoReader::bytes() {
  if (type_ == kBytes) return bytes_;
  fail();
  return {};
}

void ProtoWriter::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) text_.push_back(static_cast<char>(value | 0x80));
  text_.push_back(static_cast<char>(value));
}

ProtoWriter& ProtoWriter::number(uint32_t field, uint64_t value) {
  return value == 0 ? *this : present_number(field, value);
}

ProtoWriter& ProtoWriter::present_number(uint32_t field, uint64_t value) {
  varint(uint64_t{field} << 3);
  varint(value);
  return *this;
}

ProtoWriter& ProtoWriter::signed_number(uint32_t field, int64_t value) {
  return number(field, static_cast<uint64_t>(value));
}

// IEEE 754 in little-endian order.
ProtoWriter& ProtoWriter::real(uint32_t field, double value) {
  if (value == 0) return *this;
  varint(uint64_t{field} << 3 | 1);
  const auto bits = std::bit_cast<uint64_t>(value);
  for (int shift = 0; shift < 64; shift += 8) text_.push_back(static_cast<char>(bits >> shift));
  return *this;
}

ProtoWriter& ProtoWriter::bytes(uint32_t field, std::string_view value) {
  return value.empty() ? *this : message(field, value);
}

ProtoWriter& ProtoWriter::message(uint32_t field, std::string_view value) {
  varint(uint64_t{field} << 3 | 2);
  varint(value.size());
  text_.append(value);
  return *this;
}

}  // namespace coracle::sys
