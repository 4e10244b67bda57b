// org.systemd.property.NAME: the input is NAME, a line feed, and the value. What comes out can be
// put into a unit file and on the bus.
#include "runtime/plan/unit.h"
#include "spec/text.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

namespace {

void require_shape(const plan::UnitProperty& p) {
  const size_t numbers = p.numbers.size(), strings = p.strings.size();
  const bool is_number =
      p.type == "b" || p.type == "i" || p.type == "u" || p.type == "x" || p.type == "t";
  require(!is_number || (numbers == 1 && strings == 0), "a number is one", p.type);
  require(p.type != "s" || (numbers == 0 && strings == 1), "a string is one", p.type);
  require(p.type != "b" || p.numbers[0] <= 1, "a boolean is 0 or 1");
  require(p.type != "u" || p.numbers[0] <= UINT32_MAX, "a number fits its type");
}

void require_plain(const plan::UnitProperty& p) {
  for (const std::string& text : p.strings)
    for (const char c : text)
      require(static_cast<unsigned char>(c) >= ' ' && c != '\x7f',
              "a string has no control characters", text);
  for (const char c : p.name)
    require((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), "a name is of letters", p.name);
  const std::vector<std::string_view> strings(p.strings.begin(), p.strings.end());
  fuzz::require_printable(
      plan::unit_value_text(p.type, p.numbers.data(), p.numbers.size(), strings));
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const size_t line_feed = text.find('\n');
  if (line_feed == text.npos) return 0;
  const std::string key = spec::cat("org.systemd.property.", text.substr(0, line_feed));
  const spec::Map<std::string_view> annotations = {{key, text.substr(line_feed + 1)}};
  fuzz::accepts([&] {
    for (const plan::UnitProperty& property : plan::annotation_properties(annotations)) {
      require_shape(property);
      require_plain(property);
    }
  });
  return 0;
}
