// /proc/PID/mountinfo, whose paths and names are the container's: every line gives at most one
// entry.
#include <algorithm>

#include "runtime/commands/mount_table.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto entries = commands::parse_mount_table(text);
  const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  require(entries.size() <= lines, "a line is at most one mount");
  size_t bytes = 0;
  for (const auto& entry : entries)
    bytes +=
        entry.destination.size() + entry.type.size() + entry.source.size() + entry.options.size();
  require(bytes <= 2 * size, "nothing grows");
  return 0;
}
