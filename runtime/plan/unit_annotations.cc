#include <charconv>
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
  bool starts_with(std::string_view word) {
    skip_blanks();
    return rest_.starts_with(word);
  }
  // Up to a blank or what parts the elements of an array.
  std::string_view word() {
    skip_blanks();
    const std::string_view found = rest_.substr(0, rest_.find_first_of(" ,]"));
    rest_.remove_prefix(found.size());
    return found;
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

void parse_strings(Parser& in, UnitProperty& p) {
  p.type = "as";
  if (in.take("]")) return;
  do {
    p.strings.push_back(in.string());
  } while (in.take(","));
  if (!in.take("]")) in.fail("expected , or ] in an array of strings");
}

// As strtoull with base 0, which GVariant texts are read with: 0x1f, 017, 15.
std::optional<uint64_t> integer(std::string_view digits, uint64_t max) {
  const bool hex = digits.starts_with("0x") || digits.starts_with("0X");
  const bool octal = !hex && digits.size() > 1 && digits.front() == '0';
  if (!hex && !octal) return spec::parse_number(digits, max);
  digits.remove_prefix(hex ? 2 : 1);
  uint64_t value = 0;
  const auto end =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 8);
  const bool good = end.ec == std::errc() && end.ptr == digits.data() + digits.size();
  return good && value <= max ? std::optional(value) : std::nullopt;
}

// "[byte 1, 0x2]", "@ay [1, 2]": what systemd keeps sets of processors in.
void parse_bytes(Parser& in, UnitProperty& p) {
  p.type = "ay";
  if (in.take("]")) return;
  do {
    in.take("byte ");
    const auto number = integer(in.word(), UINT8_MAX);
    if (!number) in.fail("expected a number from 0 to 255 in an array of bytes");
    p.numbers.push_back(*number);
  } while (in.take(","));
  if (!in.take("]")) in.fail("expected , or ] in an array of bytes");
}

struct NumberType {
  std::string_view word;
  std::string_view mark;  // the same as a type string
  const char* type;
  bool is_signed;
  uint64_t max;
};
constexpr NumberType kNumberTypes[] = {
    {"uint64 ", "@t ", "t", false, std::numeric_limits<uint64_t>::max()},
    {"int64 ", "@x ", "x", true, std::numeric_limits<int64_t>::max()},
    {"uint32 ", "@u ", "u", false, std::numeric_limits<uint32_t>::max()},
    {"int32 ", "@i ", "i", true, std::numeric_limits<int32_t>::max()},
};

// systemd.resource-control(5), org.freedesktop.systemd1(5): these are all of type t, and a number
// of another type would be refused.
bool is_64_bit(std::string_view name) {
  for (std::string_view end : {"USec", "Weight", "Shares"})
    if (name.ends_with(end)) return true;
  return name == "TasksMax" ||
         (name.starts_with("Memory") && (name.ends_with("Max") || name.ends_with("High") ||
                                         name.ends_with("Low") || name.ends_with("Min")));
}

// Without a type a number is of the one that its property has, and else int32.
const NumberType& number_type(Parser& in, std::string_view name) {
  for (const NumberType& type : kNumberTypes)
    if (in.take(type.word) || in.take(type.mark)) return type;
  return is_64_bit(name) ? kNumberTypes[0] : kNumberTypes[3];
}

void parse_number(Parser& in, std::string_view name, UnitProperty& p) {
  const NumberType& type = number_type(in, name);
  p.type = type.type;
  std::string_view digits = in.rest();
  const bool negative = type.is_signed && digits.starts_with('-');
  const auto number = integer(digits.substr(negative ? 1 : 0), type.max + (negative ? 1 : 0));
  if (!number)
    in.fail("expected true, false, a number, a string in quotes or an array of strings or bytes");
  p.numbers = {negative ? 0 - *number : *number};
}

// True if it was one.
bool parse_array(Parser& in, UnitProperty& p) {
  const bool strings = in.take("@as ");
  const bool bytes = !strings && in.take("@ay ");
  if (!strings && !bytes && !in.is_next('[')) return false;
  if (!in.take("[")) in.fail("expected [ behind the type of an array");
  if (!strings && !bytes && in.is_next(']')) in.fail("an empty array needs its type: @as []");
  if (strings || (!bytes && (in.is_next('\'') || in.is_next('"')))) {
    parse_strings(in, p);
  } else {
    if (!bytes && !in.starts_with("byte ")) in.fail("expected strings in quotes, or byte, in [ ]");
    parse_bytes(in, p);
  }
  if (!in.rest().empty()) in.fail("something behind the end of the value");
  return true;
}

bool parse_string(Parser& in, UnitProperty& p) {
  const bool typed = in.take("@s ") || in.take("string ");
  if (!typed && !in.is_next('\'') && !in.is_next('"')) return false;
  p.type = "s";
  p.strings.push_back(in.string());
  if (!in.rest().empty()) in.fail("something behind the end of the value");
  return true;
}

bool parse_bool(Parser& in, UnitProperty& p) {
  const bool typed = in.take("@b ") || in.take("boolean ");
  const bool is_true = in.rest() == "true";
  if (typed && !is_true && in.rest() != "false") in.fail("expected true or false");
  if (!is_true && in.rest() != "false") return false;
  p.type = "b";
  p.numbers = {is_true};
  return true;
}

UnitProperty parse_value(std::string_view name, std::string_view text, const std::string& origin) {
  UnitProperty p;
  p.name = name;
  p.origin = origin;
  Parser in(text, origin);
  if (!parse_array(in, p) && !parse_string(in, p) && !parse_bool(in, p)) parse_number(in, name, p);
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
  Parser in(text, origin);
  if (!in.take("double ") && !in.take("@d ")) number_type(in, name);
  const auto value = microseconds(in.rest());
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
    out.push_back(is_in_seconds(name) ? parse_seconds(name, value, origin)
                                      : parse_value(name, value, origin));
  }
  return out;
}

}  // namespace coracle::plan
