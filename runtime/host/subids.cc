#include "runtime/host/subids.h"

#include <algorithm>

#include "spec/ids.h"

namespace coracle::host {

namespace {

// "a:b:c" up to the next colon, which is taken away with it.
std::string_view take_field(std::string_view& line) {
  const size_t end = line.find(':');
  const std::string_view field = line.substr(0, end);
  line = end == line.npos ? "" : line.substr(end + 1);
  return field;
}

template <class Visit>  // until it returns true
void for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (visit(line)) return;
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
}

}  // namespace

std::optional<IdRange> granted_range(std::string_view text, std::string_view name, uint32_t uid) {
  std::optional<IdRange> found;
  for_each_line(text, [&](std::string_view line) {
    const std::string_view whom = take_field(line);
    const bool is_him = (!name.empty() && whom == name) || spec::parse_number(whom) == uid;
    const auto first = spec::parse_number(take_field(line), UINT32_MAX - 1);
    const auto size = spec::parse_number(take_field(line), UINT32_MAX - 1);
    if (!is_him || !first || !size || *size == 0 || *first + *size > UINT32_MAX) return false;
    found = {static_cast<uint32_t>(*first), static_cast<uint32_t>(*size)};
    return true;
  });
  return found;
}

std::string name_in(std::string_view passwd, uint32_t uid) {
  std::string found;
  for_each_line(passwd, [&](std::string_view line) {
    const std::string_view name = take_field(line);
    take_field(line);
    if (spec::parse_number(take_field(line)) != uid) return false;
    found = name;
    return true;
  });
  return found;
}

}  // namespace coracle::host
