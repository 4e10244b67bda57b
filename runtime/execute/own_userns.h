// A user namespace for an ordinary user's container whose bundle does not say which: without one he
// can make no other namespace, and nothing at all can be mounted (user_namespaces(7)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "spec/spec.h"
#include "spec/validate.h"

namespace coracle::execute {

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

// If the caller is an ordinary user: gives `spec` a user namespace if it has none, and a new one
// without mappings the caller as its root and, above, the first ranges that /etc/subuid and
// /etc/subgid grant. A warning says so. Root, and who maps only users or only groups, gets the
// mapping that is missing (spec::complete_id_maps), and a line of debugging says so.
void complete_userns(spec::Spec& spec, spec::Warnings& warnings);

}  // namespace coracle::execute
