// Ids that the machine grants to an ordinary user for his user namespaces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coracle::host {

struct IdRange {
  uint32_t first = 0;
  uint32_t size = 0;
};

// The first range that a file like /etc/subuid (subuid(5)) grants to a user, who is named in it by
// `name` or by number. Lines that make no sense are passed over.
std::optional<IdRange> granted_range(std::string_view text, std::string_view name, uint32_t uid);

// His name in a file like /etc/passwd, "" if it is not there. (Not by getpwuid: a static program
// cannot load what nsswitch.conf names.)
std::string name_in(std::string_view passwd, uint32_t uid);

}  // namespace coracle::host
