// /etc/passwd of a container: the home directory found does not depend on how the text comes in
// pieces, and is the one that a reading line by line finds.
#include <algorithm>
#include <optional>

#include "runtime/init/home.h"
#include "spec/ids.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

namespace {

constexpr size_t kRoom = 64;

std::optional<std::string> found(std::string_view text, uint32_t uid, size_t piece) {
  char home[kRoom];
  init::HomeFinder finder(uid, home, sizeof(home));
  for (size_t at = 0; at < text.size(); at += piece)
    if (finder.read(text.data() + at, std::min(piece, text.size() - at))) return home;
  if (finder.finish()) return home;
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> out;
  for (;;) {
    const size_t end = text.find(by);
    out.push_back(text.substr(0, end));
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}

// name:password:uid:gid:comment:home:shell
std::optional<std::string> read_slowly(std::string_view text, uint32_t uid) {
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 6 || spec::parse_number(fields[2], UINT32_MAX) != uid) continue;
    if (!fields[5].starts_with('/') || fields[5].size() >= kRoom) continue;
    return std::string(fields[5]);
  }
  return std::nullopt;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  if (text.find('\0') != text.npos) {
    found(text, 0, text.size());
    return 0;
  }
  for (const uint32_t uid : {0u, 1000u, 4294967295u}) {
    const auto home = found(text, uid, std::max<size_t>(text.size(), 1));
    require(found(text, uid, 1) == home, "the home does not depend on how the text comes");
    require(found(text, uid, 5) == home, "the home does not depend on how the text comes");
    require(read_slowly(text, uid) == home, "the home is the line's", home.value_or("none"));
  }
  return 0;
}
