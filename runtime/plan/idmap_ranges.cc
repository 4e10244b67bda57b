#include "runtime/plan/idmap_ranges.h"

#include <charconv>

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;
using spec::quoted;

using Mappings = std::vector<spec::LinuxIDMapping>;

// Takes what stands before `separator` off the front of `rest`.
static std::string_view take(std::string_view& rest, char separator) {
  const size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return part;
}

static bool number(std::string_view text, uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

static uint32_t host_id(uint32_t id, const Mappings& mappings, const std::string& origin) {
  for (const spec::LinuxIDMapping& m : mappings)
    if (id >= m.containerID && id - m.containerID < m.size) return m.hostID + (id - m.containerID);
  throw Error::at(origin, cat("@", id, " is not mapped by the container's user namespace"));
}

static std::string range_line(std::string_view range, const Mappings& mappings,
                              const std::string& origin) {
  std::string_view rest = range;
  const bool relative = rest.substr(0, 1) == "@";
  if (relative) rest.remove_prefix(1);
  uint32_t inside = 0, outside = 0, count = 0;
  const bool good = number(take(rest, '-'), inside) && number(take(rest, '-'), outside) &&
                    number(take(rest, '-'), count) && rest.empty() && count > 0;
  if (!good) throw Error::at(origin, cat("not a range of ids (A-B-COUNT): ", quoted(range)));
  return cat(inside, " ", relative ? host_id(outside, mappings, origin) : outside, " ", count,
             "\n");
}

static std::string map_text(std::string_view ranges, const Mappings& mappings,
                            const std::string& origin) {
  std::string text;
  while (!ranges.empty()) text += range_line(take(ranges, '#'), mappings, origin);
  return text;
}

IdMapTexts parse_idmap_ranges(std::string_view ranges, const spec::Linux& linux,
                              const std::string& origin) {
  IdMapTexts maps;
  std::string_view rest = ranges;
  while (!rest.empty()) {
    std::string_view part = take(rest, ';');
    const std::string_view key = take(part, '=');
    if (key == "uids") {
      maps.uids = map_text(part, linux.uidMappings, origin);
    } else if (key == "gids") {
      maps.gids = map_text(part, linux.gidMappings, origin);
    } else {
      throw Error::at(origin, cat("idmap knows uids= and gids=, not ", quoted(key)));
    }
  }
  if (maps.uids.empty() || maps.gids.empty())
    throw Error::at(origin, cat("idmap needs uids= and gids=: ", quoted(ranges)));
  return maps;
}

}  // namespace coracle::plan
