// The JSON reader and writer: what is read, written and read again is the same; the writer's
// three styles mean the same.
#include "spec/json.h"
#include "spec/json_write.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::accepts;
using fuzz::require;

namespace {

constexpr spec::JsonStyle kStyles[] = {spec::JsonStyle::kCompact, spec::JsonStyle::kSpaces,
                                       spec::JsonStyle::kTabs};

struct Copy {
  spec::JsonWriter writer;
  size_t fractions = 0;
};

void copy(const spec::Value& value, Copy& out);

void copy_scalar(const spec::Value& value, Copy& out) {
  const auto as_text = [&] { out.writer.value(value.as_string()); };
  const auto as_bool = [&] { out.writer.value(value.as_bool()); };
  const auto as_unsigned = [&] { out.writer.value(value.as_unsigned(UINT64_MAX)); };
  const auto as_signed = [&] { out.writer.value(value.as_signed(INT64_MIN, INT64_MAX)); };
  if (accepts(as_text) || accepts(as_bool) || accepts(as_unsigned) || accepts(as_signed)) return;
  ++out.fractions;  // read by nobody; a place is kept for it
  out.writer.value(0);
}

void copy_object(const spec::Value& value, Copy& out) {
  out.writer.begin_object();
  for (size_t i = 0; i < value.expect_object(); ++i) {
    const spec::Value member = value.member(i);
    out.writer.key(member.key());
    copy(member, out);
  }
  out.writer.end_object();
}

void copy_array(const spec::Value& value, Copy& out) {
  out.writer.begin_array();
  for (size_t i = 0; i < value.expect_array(); ++i) copy(value.element(i), out);
  out.writer.end_array();
}

void copy(const spec::Value& value, Copy& out) {
  if (value.is_object()) return copy_object(value, out);
  if (value.is_array()) return copy_array(value, out);
  if (value.is_null()) return void(out.writer.null());
  copy_scalar(value, out);
}

std::string rewritten(std::string_view text, spec::JsonStyle style) {
  Copy out{.writer = spec::JsonWriter(style)};
  spec::Text document(std::string(text), "input");
  document.visit([](const spec::Value& root, void* to) { copy(root, *static_cast<Copy*>(to)); },
                 &out);
  return out.writer.take();
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  std::string first;
  if (!accepts([&] { first = rewritten(text, spec::JsonStyle::kCompact); })) return 0;
  for (const spec::JsonStyle style : kStyles) {
    const std::string written = rewritten(first, style);
    const std::string back = rewritten(written, spec::JsonStyle::kCompact);
    require(back == first, "JSON is read back", back + "\n" + first);
  }
  return 0;
}
