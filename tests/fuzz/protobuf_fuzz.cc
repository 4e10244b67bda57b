// Protocol Buffers on the wire: the fields of a message that is accepted, written anew, are read
// back equal.
#include "runtime/sys/protobuf.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

namespace {

struct Field {
  uint32_t number;
  bool is_bytes;
  uint64_t value;
  std::string bytes;
  bool operator==(const Field&) const = default;
};

// A field of a fixed size is passed over by every reader, and has no way to be asked for.
bool read_field(std::string_view message, size_t index, Field& out) {
  sys::ProtoReader as_number(message), as_bytes(message);
  for (size_t i = 0; i <= index; ++i) {
    as_number.next();
    as_bytes.next();
  }
  const uint64_t value = as_number.number();
  const std::string_view bytes = as_bytes.bytes();
  out = {as_number.field(), as_bytes.ok(), value, std::string(bytes)};
  return as_number.ok() != as_bytes.ok();
}

std::vector<Field> fields_of(std::string_view message) {
  constexpr size_t kMost = 64;
  std::vector<Field> out;
  sys::ProtoReader in(message);
  for (size_t i = 0; i < kMost && in.next(); ++i) {
    Field field;
    if (read_field(message, i, field)) out.push_back(std::move(field));
  }
  return out;
}

std::string write(const std::vector<Field>& fields) {
  sys::ProtoWriter out;
  for (const Field& field : fields) {
    if (field.is_bytes) {
      out.message(field.number, field.bytes);
    } else {
      out.present_number(field.number, field.value);
    }
  }
  return out.take();
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message = fuzz::text_of(data, size);
  sys::ProtoReader in(message);
  size_t count = 0;
  while (in.next()) {
    require(in.field() != 0 && in.field() < (1u << 29), "a field's number is in range");
    ++count;
  }
  require(count <= size, "every step takes a byte");
  if (!in.ok()) return 0;
  const std::vector<Field> fields = fields_of(message);
  require(fields_of(write(fields)) == fields, "fields are read back");
  return 0;
}
