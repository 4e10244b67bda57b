#include "runtime/commands/mount_table.h"

#include <algorithm>
#include <set>

#include "spec/text.h"

namespace coracle::commands {
namespace {

std::string_view take(std::string_view& text, char until) {
  const std::string_view part = text.substr(0, text.find(until));
  text.remove_prefix(std::min(text.size(), part.size() + 1));
  return part;
}

// "\040" is a space.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 3 < text.size();
    if (!escape) {
      out += text[i];
      continue;
    }
    out +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
    i += 3;
  }
  return out;
}

void add_new(std::string& options, std::string_view more) {
  const std::string mount_options = options;
  std::set<std::string_view> known = {"rw"};  // the superblock's says nothing where the mount is ro
  for (std::string_view rest = mount_options; !rest.empty();) known.insert(take(rest, ','));
  while (!more.empty()) {
    const std::string_view option = take(more, ',');
    if (known.insert(option).second) spec::append(options, ",", option);
  }
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
bool parse_line(std::string_view line, MountedEntry& entry) {
  take(line, ' ');
  take(line, ' ');
  take(line, ' ');
  const std::string_view root = take(line, ' ');
  entry.destination = unescaped(take(line, ' '));
  entry.options = take(line, ' ');
  const size_t dash = line.starts_with("- ") ? 0 : line.find(" - ");
  if (dash == line.npos) return false;
  line.remove_prefix(dash + (dash == 0 ? 2 : 3));
  entry.type = unescaped(take(line, ' '));
  entry.source = unescaped(take(line, ' '));
  if (root != "/") entry.source = unescaped(root);
  add_new(entry.options, line);
  return true;
}

}  // namespace

std::vector<MountedEntry> parse_mount_table(std::string_view text) {
  std::vector<MountedEntry> entries;
  while (!text.empty()) {
    MountedEntry entry;
    if (parse_line(take(text, '\n'), entry)) entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace coracle::commands
