#include "runtime/systemd/message.h"

#include <bit>
#include <cstring>

namespace coracle::systemd {
namespace {

constexpr char kByteOrder = std::endian::native == std::endian::little ? 'l' : 'B';
constexpr uint8_t kProtocol = 1;

// Header fields, by their codes.
enum Field : uint8_t {
  kPath = 1,
  kInterface = 2,
  kMember = 3,
  kErrorName = 4,
  kReplySerial = 5,
  kDestination = 6,
  kSignature = 8,
};

template <class T>
T load(std::string_view bytes) {
  T value = 0;
  if (bytes.size() == sizeof(T)) std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

template <class T>
void store(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

size_t padded(size_t size, size_t to) { return (size + to - 1) / to * to; }

}  // namespace

// ---- Writer --------------------------------------------------------------------------------

Writer& Writer::align(size_t to) {
  bytes_.resize(padded(bytes_.size(), to), '\0');
  return *this;
}

Writer& Writer::u8(uint8_t value) {
  bytes_.push_back(static_cast<char>(value));
  return *this;
}

Writer& Writer::u32(uint32_t value) {
  align(4);
  store(bytes_, value);
  return *this;
}

Writer& Writer::u64(uint64_t value) {
  align(8);
  store(bytes_, value);
  return *this;
}

Writer& Writer::string(std::string_view text) {
  u32(static_cast<uint32_t>(text.size()));
  bytes_.append(text).push_back('\0');
  return *this;
}

Writer& Writer::signature(std::string_view text) {
  u8(static_cast<uint8_t>(text.size()));
  bytes_.append(text).push_back('\0');
  return *this;
}

// The length counts neither itself nor the padding in front of the first element.
size_t Writer::begin_array(size_t alignment) {
  u32(0);
  const size_t length_at = bytes_.size() - 4;
  align(alignment);
  open_[depth_++].content = bytes_.size();
  return length_at;
}

void Writer::end_array(size_t array) {
  const auto length = static_cast<uint32_t>(bytes_.size() - open_[--depth_].content);
  std::memcpy(bytes_.data() + array, &length, sizeof(length));
}

// ---- Reader --------------------------------------------------------------------------------

std::string_view Reader::take(size_t size) {
  if (!good_ || size > bytes_.size() - at_) {
    good_ = false;
    return {};
  }
  at_ += size;
  return bytes_.substr(at_ - size, size);
}

void Reader::align(size_t to) {
  for (char padding : take(padded(at_, to) - at_))
    if (padding != '\0') good_ = false;
}

uint8_t Reader::u8() { return load<uint8_t>(take(1)); }

uint32_t Reader::u32() {
  align(4);
  return load<uint32_t>(take(4));
}

uint64_t Reader::u64() {
  align(8);
  return load<uint64_t>(take(8));
}

// `size` bytes without a NUL, and a NUL.
std::string_view Reader::text(size_t size) {
  const std::string_view bytes = take(size);
  const std::string_view end = take(1);
  if (!good_ || end.front() != '\0' || bytes.find('\0') != bytes.npos) {
    good_ = false;
    return {};
  }
  return bytes;
}

std::string_view Reader::string() { return text(u32()); }
std::string_view Reader::signature() { return text(u8()); }

void Reader::skip(char type) {
  switch (type) {
    case 'y':
      u8();
      return;
    case 'n':
    case 'q':
      align(2);
      take(2);
      return;
    case 'b':
    case 'i':
    case 'u':
    case 'h':
      u32();
      return;
    case 'x':
    case 't':
    case 'd':
      u64();
      return;
    case 's':
    case 'o':
      string();
      return;
    case 'g':
      signature();
      return;
    default:
      good_ = false;
  }
}

// ---- messages ------------------------------------------------------------------------------

static void add_field(Writer& out, Field code, std::string_view type, std::string_view text) {
  if (text.empty()) return;
  out.begin_struct().u8(code).signature(type);
  if (type == "g") {
    out.signature(text);
  } else {
    out.string(text);
  }
}

std::string encode(const Message& m) {
  Writer out;
  out.u8(static_cast<uint8_t>(kByteOrder)).u8(static_cast<uint8_t>(m.type));
  out.u8(m.flags).u8(kProtocol).u32(static_cast<uint32_t>(m.body.size())).u32(m.serial);
  const size_t fields = out.begin_array(8);
  add_field(out, kPath, "o", m.path);
  add_field(out, kInterface, "s", m.interface);
  add_field(out, kMember, "s", m.member);
  add_field(out, kErrorName, "s", m.error_name);
  if (m.reply_serial != 0) out.begin_struct().u8(kReplySerial).signature("u").u32(m.reply_serial);
  add_field(out, kDestination, "s", m.destination);
  add_field(out, kSignature, "g", m.signature);
  out.end_array(fields);
  out.align(8);
  return out.bytes() + m.body;
}

size_t message_size(std::string_view start) {
  if (start.size() < kFixedHeader || start[0] != kByteOrder) return 0;
  if (static_cast<uint8_t>(start[3]) != kProtocol) return 0;
  const auto body = load<uint32_t>(start.substr(4, 4));
  const auto fields = load<uint32_t>(start.substr(12, 4));
  if (body > kMaxMessage || fields > kMaxMessage) return 0;
  const size_t size = kFixedHeader + padded(fields, 8) + body;
  return size > kMaxMessage ? 0 : size;
}

// One header field: a struct of its code and a variant. Codes that we do not know are passed over,
// as the specification demands.
static void read_field(Reader& in, Message& m) {
  in.align(8);
  const uint8_t code = in.u8();
  const std::string_view type = in.signature();
  if (type.size() != 1) return in.skip('\0');
  std::string* text = code == kPath          ? &m.path
                      : code == kInterface   ? &m.interface
                      : code == kMember      ? &m.member
                      : code == kErrorName   ? &m.error_name
                      : code == kDestination ? &m.destination
                      : code == kSignature   ? &m.signature
                                             : nullptr;
  const char wanted = code == kPath ? 'o' : code == kSignature ? 'g' : 's';
  if (code == kReplySerial && type == "u") {
    m.reply_serial = in.u32();
  } else if (text == nullptr) {
    in.skip(type[0]);
  } else if (type[0] != wanted) {
    in.skip('\0');
  } else {
    *text = wanted == 'g' ? in.signature() : in.string();
  }
}

bool decode(std::string_view bytes, Message& m) {
  if (bytes.size() < kFixedHeader || message_size(bytes) != bytes.size()) return false;
  m = {};
  m.type = static_cast<MessageType>(bytes[1]);
  m.flags = static_cast<uint8_t>(bytes[2]);
  m.serial = load<uint32_t>(bytes.substr(8, 4));
  const size_t fields_end = kFixedHeader + load<uint32_t>(bytes.substr(12, 4));
  Reader in(bytes.substr(0, fields_end));
  in.skip('t');
  in.skip('t');
  while (in.is_good() && !in.at_end()) read_field(in, m);
  m.body = bytes.substr(padded(fields_end, 8));
  return in.is_good() && m.serial != 0;
}

}  // namespace coracle::systemd
