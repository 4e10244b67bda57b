#include "spec/ids.h"

#include <algorithm>
#include <charconv>

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::spec {
namespace {

constexpr uint32_t kNoId = UINT32_MAX;  // (uid_t)-1: "leave as it is" to the kernel

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n";
  size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Takes the text before the next `separator` off `rest`; `more` tells whether there was one.
std::string_view take_until(std::string_view& rest, char separator, bool& more) {
  size_t at = rest.find(separator);
  more = at != rest.npos;
  std::string_view head = rest.substr(0, at);
  rest.remove_prefix(more ? at + 1 : rest.size());
  return head;
}

bool has_component(std::string_view path, std::string_view wanted) {
  for (bool more = true; more;) {
    if (take_until(path, '/', more) == wanted) return true;
  }
  return false;
}

bool is_identifier_list(std::string_view text, bool numbers_are_canonical) {
  for (bool more = true; more;) {
    std::string_view part = take_until(text, '.', more);
    bool digits = std::all_of(part.begin(), part.end(), is_digit);
    if (part.empty() || (numbers_are_canonical && digits && part.size() > 1 && part[0] == '0')) {
      return false;
    }
    auto allowed = [](char c) { return is_digit(c) || is_letter(c) || c == '-'; };
    if (!std::all_of(part.begin(), part.end(), allowed)) return false;
  }
  return true;
}

}  // namespace

bool is_container_id(std::string_view id) {
  auto allowed = [](char c) {
    return is_digit(c) || is_letter(c) || c == '_' || c == '+' || c == '.' || c == '-';
  };
  return !id.empty() && id.size() <= 1024 && id != "." && id != ".." &&
         std::all_of(id.begin(), id.end(), allowed);
}

void check_container_id(std::string_view id) {
  if (is_container_id(id)) return;
  throw Error(cat("invalid container ID format: ", quoted(id.substr(0, 64))));
}

std::optional<uint64_t> parse_number(std::string_view text, uint64_t max) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  auto result = std::from_chars(text.data(), end, number);
  if (text.empty() || result.ec != std::errc() || result.ptr != end || number > max) return {};
  return number;
}

UserIds parse_user(std::string_view text) {
  std::string_view rest = text;
  bool has_group = false;
  auto uid = parse_number(take_until(rest, ':', has_group), kNoId - 1);
  auto gid = parse_number(rest, kNoId - 1);
  if (!uid || (has_group && !gid)) {
    throw Error(cat("invalid user ", quoted(text), ": expected UID or UID:GID in decimal"));
  }
  UserIds ids;
  ids.uid = static_cast<uint32_t>(*uid);
  if (has_group) ids.gid = static_cast<uint32_t>(*gid);
  return ids;
}

std::optional<NumberRanges> parse_number_list(std::string_view text) {
  constexpr uint64_t kMaxNumber = 65535;
  NumberRanges ranges;
  text = trim(text);
  for (bool more = true; more;) {
    std::string_view element = take_until(text, ',', more);
    bool is_range = false;
    auto first = parse_number(trim(take_until(element, '-', is_range)), kMaxNumber);
    auto last = is_range ? parse_number(trim(element), kMaxNumber) : first;
    if (!first || !last || *first > *last) return std::nullopt;
    ranges.emplace_back(*first, *last);
  }
  return ranges;
}

NumberRanges merge_ranges(NumberRanges ranges) {
  std::sort(ranges.begin(), ranges.end());
  NumberRanges out;
  for (const auto& [first, last] : ranges) {
    if (!out.empty() && first <= out.back().second) {
      out.back().second = std::max(out.back().second, last);
    } else {
      out.emplace_back(first, last);
    }
  }
  return out;
}

int64_t parse_size(std::string_view text) {
  if (text == "-1") return -1;
  auto fail = [text] {
    throw Error(cat("invalid size ", quoted(text), ": expected bytes, such as 512M, or -1"));
  };
  size_t digits = std::find_if_not(text.begin(), text.end(), is_digit) - text.begin();
  std::string unit;
  for (char c : text.substr(digits)) unit.push_back(static_cast<char>(c | 0x20));
  constexpr std::string_view kUnits = "bkmgtp";
  size_t power = unit.empty() ? 0 : kUnits.find(unit[0]);
  std::string_view tail = unit.empty() ? "" : std::string_view(unit).substr(1);
  bool good_tail = tail.empty() || (power > 0 && (tail == "b" || tail == "ib"));
  if (power == kUnits.npos || !good_tail) fail();
  auto number = parse_number(text.substr(0, digits), uint64_t{INT64_MAX} >> (10 * power));
  if (!number) fail();
  return static_cast<int64_t>(*number << (10 * power));
}

static bool has_control(std::string_view text) {
  auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return std::any_of(text.begin(), text.end(), control);
}

bool is_cgroup_path(std::string_view path) {
  return !path.empty() && !has_component(path, "..") && !has_control(path);
}

std::optional<std::string> sysctl_path(std::string_view key) {
  std::string path(key);
  size_t first = key.find_first_of("./");
  if (first != key.npos && key[first] == '.') {
    for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  for (std::string_view bad : {"", ".", ".."}) {
    if (has_component(path, bad)) return std::nullopt;
  }
  if (has_control(path)) return std::nullopt;
  return path;
}

std::optional<Version> parse_version(std::string_view text) {
  Version version;
  std::string_view rest = text;
  bool has_build = false;
  std::string_view without_build = take_until(rest, '+', has_build);
  if (has_build && !is_identifier_list(rest, false)) return std::nullopt;
  bool has_prerelease = false;
  std::string_view core = take_until(without_build, '-', has_prerelease);
  version.prerelease = without_build;
  if (has_prerelease && !is_identifier_list(version.prerelease, true)) return std::nullopt;
  uint32_t* parts[] = {&version.major, &version.minor, &version.patch};
  for (size_t i = 0; i < 3; ++i) {
    bool more = false;
    std::string_view part = take_until(core, '.', more);
    auto number = parse_number(part, UINT32_MAX);
    bool canonical = part.size() == 1 || !part.starts_with('0');
    if (!number || !canonical || more != (i < 2)) return std::nullopt;
    *parts[i] = static_cast<uint32_t>(*number);
  }
  return version;
}

bool is_interface_name(std::string_view name) {
  if (name.empty() || name.size() > 15 || name == "." || name == "..") return false;
  return name.find_first_of("/: \t\n\v\f\r") == name.npos;
}

}  // namespace coracle::spec
