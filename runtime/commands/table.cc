#include "runtime/commands/table.h"

#include <algorithm>

#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

std::string_view next_field(std::string_view& rest, char separator) {
  size_t end = std::min(rest.find(separator), rest.size());
  std::string_view field = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return field;
}

}  // namespace

std::string align(const std::vector<std::vector<std::string>>& rows) {
  constexpr size_t kLeast = 12, kPadding = 3;
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), kLeast);
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size() + kPadding);
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - row[i].size(), ' ');
    }
    out += '\n';
  }
  return out;
}

std::string user_name(std::string_view passwd, unsigned uid) {
  while (!passwd.empty()) {
    std::string_view line = next_field(passwd, '\n');
    std::string_view name = next_field(line, ':');
    next_field(line, ':');  // password
    auto number = spec::parse_number(next_field(line, ':'), UINT32_MAX);
    if (number && *number == uid && !name.empty()) return std::string(name);
  }
  return spec::cat("#", uid);
}

}  // namespace coracle::commands
