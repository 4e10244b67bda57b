#include <limits>

#include "runtime/plan/unit.h"
#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::plan {
namespace {

using spec::cat;
using spec::Error;

constexpr std::string_view kPrefix = spec::kUnitProperty;
constexpr uint64_t kMicro = 1000000;

// What makes the container's unit its own, or decides who may do what in it: for us to set.
constexpr std::string_view kOurs[] = {
    "Slice",
    "PIDs",
    "PIDFDs",
    "Delegate",
    "DelegateSubgroup",
    "Description",
    "Controller",
    "BPFProgram",
    "DelegateControllers",
};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The rest of a value that is being read.
class Parser {
 public:
  Parser(std::string_view text, const std::string& origin) : rest_(text), origin_(origin) {}

  [[noreturn]] void fail(std::string_view why) const { throw Error::at(origin_, std::string(why)); }
  void skip_blanks() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  bool take(std::string_view word) {
    skip_blanks();
    if (rest_.substr(0, word.size()) != word) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool is_next(char c) {
    skip_blanks();
    return !rest_.empty() && rest_.front() == c;
  }
  // The rest, up to trailing blanks.
  std::string_view rest() {
    skip_blanks();
    while (!rest_.empty() && rest_.back() == ' ') rest_.remove_suffix(1);
    return rest_;
  }
  std::string string();

 private:
  std::string_view rest_;
  const std::string& origin_;
};

// 'text' or "text"; a backslash takes the next character as it is.
std::string Parser::string() {
  if (!is_next('\'') && !is_next('"')) fail("expected a string in quotes");
  const char quote = rest_.front();
  std::string out;
  for (size_t i = 1; i < rest_.size(); ++i) {
    char c = rest_[i];
    if (c == quote) {
      rest_.remove_prefix(i + 1);
      return out;
    }
    if (c == '\\') {
      c = i + 1 < rest_.size() ? rest_[++i] : '\0';
      if (c != '\\' && c != '\'' && c != '"')
        fail("a backslash goes before quotes and backslashes");
    }
    // A line feed would begin another setting in the unit file that systemd writes.
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') fail("control character in a string");
    out.push_back(c);
  }
  fail("a string without its closing quote");
}

void parse_array(Parser& in, UnitProperty& p) {
  p.type = "as";
  if (in.take("]")) return;
  do {
    p.strings.push_back(in.string());
  } while (in.take(","));
  if (!in.take("]")) in.fail("expected , or ] in an array of strings");
}

struct NumberType {
  std::string_view word;
  const char* type;
  bool is_signed;
  uint64_t max;
};
constexpr NumberType kNumberTypes[] = {
    {"uint64 ", "t", false, std::numeric_limits<uint64_t>::max()},
    {"int64 ", "x", true, std::numeric_limits<int64_t>::max()},
    {"uint32 ", "u", false, std::numeric_limits<uint32_t>::max()},
    {"int32 ", "i", true, std::numeric_limits<int32_t>::max()},
    {"", "i", true, std::numeric_limits<int32_t>::max()},
};

void parse_number(Parser& in, UnitProperty& p) {
  for (const NumberType& type : kNumberTypes) {
    if (!in.take(type.word)) continue;
    p.type = type.type;
    std::string_view digits = in.rest();
    const bool negative = type.is_signed && digits.substr(0, 1) == "-";
    const auto number = spec::parse_number(digits.substr(negative ? 1 : 0), type.max);
    if (!number) {
      in.fail("expected true, false, a number, a string in quotes or an array of strings");
    }
    p.numbers = {negative ? 0 - *number : *number};
    return;
  }
}

UnitProperty parse_value(std::string_view text, const std::string& origin) {
  UnitProperty p;
  p.origin = origin;
  Parser in(text, origin);
  if (in.take("@as ") || in.is_next('[')) {
    if (!in.take("[")) in.fail("expected [ behind @as");
    const bool typed = text.find('@') != text.npos;
    if (in.is_next(']') && !typed) in.fail("an empty array needs its type: @as []");
    parse_array(in, p);
  } else if (in.is_next('\'') || in.is_next('"')) {
    p.type = "s";
    p.strings.push_back(in.string());
  } else if (in.rest() == "true" || in.rest() == "false") {
    p.type = "b";
    p.numbers = {in.rest() == "true"};
    return p;
  } else {
    parse_number(in, p);
    return p;
  }
  if (!in.rest().empty()) in.fail("something behind the end of the value");
  return p;
}

// "1.5" as microseconds; digits beyond the sixth are cut off.
std::optional<uint64_t> microseconds(std::string_view text) {
  const size_t dot = text.find('.');
  const auto whole = spec::parse_number(text.substr(0, dot), UINT64_MAX / kMicro - 1);
  if (!whole) return std::nullopt;
  if (dot == text.npos) return *whole * kMicro;
  const std::string fraction(text.substr(dot + 1));
  const auto part = spec::parse_number((fraction + "00000").substr(0, 6));
  if (fraction.empty() || !spec::parse_number(fraction) || !part) return std::nullopt;
  return *whole * kMicro + *part;
}

// "TimeoutStopSec", but not "ExecSec" ... : a lower-case letter in front of Sec.
bool is_in_seconds(std::string_view name) {
  return name.size() > 3 && name.ends_with("Sec") && name[name.size() - 4] >= 'a' &&
         name[name.size() - 4] <= 'z';
}

UnitProperty parse_seconds(std::string_view name, std::string_view text,
                           const std::string& origin) {
  for (const NumberType& type : kNumberTypes) {
    if (type.word.empty() || !text.starts_with(type.word)) continue;
    text.remove_prefix(type.word.size());
    break;
  }
  const auto value = microseconds(text);
  if (!value) throw Error::at(origin, "expected a number of seconds");
  return {cat(name.substr(0, name.size() - 3), "USec"), "t", {*value}, {}, origin};
}

void check_name(std::string_view name, const std::string& origin) {
  bool good = name.size() >= 3;
  for (char c : name) good = good && is_letter(c);
  if (!good) throw Error::at(origin, "a property's name is of letters, three at least");
  for (std::string_view ours : kOurs) {
    if (name == ours) throw Error::at(origin, "this property is for the runtime to set");
  }
}

}  // namespace

std::vector<UnitProperty> annotation_properties(const spec::Map<std::string_view>& annotations) {
  std::vector<UnitProperty> out;
  for (const auto& [key, value] : annotations) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string origin = cat("annotations[", spec::quoted(key), ']');
    const std::string_view name = key.substr(kPrefix.size());
    check_name(name, origin);
    UnitProperty property =
        is_in_seconds(name) ? parse_seconds(name, value, origin) : parse_value(value, origin);
    if (!is_in_seconds(name)) property.name = name;
    out.push_back(std::move(property));
  }
  return out;
}

}  // namespace coracle::plan
