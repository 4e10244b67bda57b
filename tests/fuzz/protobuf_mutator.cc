// Mutates a protobuf message field by field, so that lengths stay true and nested messages are
// reached: a field is dropped, doubled, given another number or value. One input in four is mutated
// as plain bytes, and so is what is no message. The first byte, which says what the message is
// (shim_messages, shim_options, criu), is kept but for one input in sixteen.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed);

namespace {

using Random = std::minstd_rand;

enum Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  uint64_t number = 0;
  uint8_t wire = kVarint;
  uint64_t value = 0;
  std::string bytes;
};
using Message = std::vector<Field>;

size_t below(Random& random, size_t count) { return random() / 7 % count; }

bool take_varint(std::string_view& in, uint64_t& out) {
  out = 0;
  for (unsigned i = 0; i < 10 && i < in.size(); ++i) {
    const auto byte = static_cast<uint8_t>(in[i]);
    out |= uint64_t{byte & 0x7fu} << (7 * i);
    if (byte >= 0x80) continue;
    in.remove_prefix(i + 1);
    return true;
  }
  return false;
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

std::optional<Message> parse(std::string_view in) {
  Message out;
  while (!in.empty()) {
    Field& field = out.emplace_back();
    uint64_t key = 0, size = 0;
    if (!take_varint(in, key)) return std::nullopt;
    field.number = key >> 3;
    field.wire = key & 7;
    if (field.wire == kVarint) {
      if (!take_varint(in, field.value)) return std::nullopt;
      continue;
    }
    if (field.wire == kBytes && !take_varint(in, size)) return std::nullopt;
    if (field.wire == kFixed64) size = 8;
    if (field.wire == kFixed32) size = 4;
    if (size > in.size()) return std::nullopt;
    field.bytes = in.substr(0, size);
    in.remove_prefix(size);
  }
  return out;
}

std::string write(const Message& message) {
  std::string out;
  for (const Field& field : message) {
    put_varint(out, field.number << 3 | field.wire);
    if (field.wire == kVarint) put_varint(out, field.value);
    if (field.wire == kBytes) put_varint(out, field.bytes.size());
    out += field.bytes;
  }
  return out;
}

constexpr uint64_t kNumbers[] = {0,     1,         2,          127,        128,       255,
                                 65535, INT32_MAX, 0x80000000, UINT32_MAX, INT64_MAX, UINT64_MAX};

void mutate_bytes(std::string& bytes, Random& random) {
  constexpr size_t kLonger = 16;
  const size_t size = bytes.size();
  bytes.resize(size + 1 + below(random, kLonger));
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(bytes.data()), size, bytes.size()));
}

void mutate(Message& message, Random& random);

void mutate_value(Field& field, Random& random) {
  if (field.wire == kVarint) {
    field.value = kNumbers[below(random, std::size(kNumbers))] + below(random, 2);
    return;
  }
  auto nested = field.wire == kBytes ? parse(field.bytes) : std::nullopt;
  if (!nested || nested->empty() || below(random, 3) == 0) return mutate_bytes(field.bytes, random);
  mutate(*nested, random);
  field.bytes = write(*nested);
}

void mutate(Message& message, Random& random) {
  if (message.empty()) message.emplace_back().number = 1 + below(random, 12);
  const size_t at = below(random, message.size());
  switch (below(random, 6)) {
    case 0:
      message.erase(message.begin() + static_cast<ptrdiff_t>(at));
      return;
    case 1: {
      Field copy = message[at];
      message.push_back(std::move(copy));
      return;
    }
    case 2:
      message[at].number = 1 + below(random, 16);
      return;
    case 3: {
      Field field;
      field.number = 1 + below(random, 12);
      field.wire = below(random, 2) == 0 ? kVarint : kBytes;
      field.value = below(random, 300);
      if (field.wire == kBytes) mutate_bytes(field.bytes, random);
      message.push_back(std::move(field));
      return;
    }
    default:
      return mutate_value(message[at], random);
  }
}

}  // namespace

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Random random(seed);
  if (size == 0 || below(random, 16) == 0) return LLVMFuzzerMutate(data, size, max_size);
  auto message = parse({reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!message || below(random, 4) == 0)
    return 1 + LLVMFuzzerMutate(data + 1, size - 1, max_size - 1);
  mutate(*message, random);
  const std::string written = write(*message).substr(0, max_size - 1);
  std::memcpy(data + 1, written.data(), written.size());
  return 1 + written.size();
}
