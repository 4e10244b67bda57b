// The ranges of a mount option "idmap=uids=0-1-10#10-11-10;gids=@0-100-10" (as Podman sends it):
// id in the file system - id on the mount - count. With "@" the second number is an id of the
// container, to be found in its user namespace's maps.
#pragma once

#include <string>
#include <string_view>

#include "spec/spec.h"

namespace coracle::plan {

struct IdMapTexts {  // lines for uid_map and gid_map (user_namespaces(7))
  std::string uids;
  std::string gids;
};

// Throws spec::Error at `origin` (a JSON path) for anything that does not fit the grammar.
IdMapTexts parse_idmap_ranges(std::string_view ranges, const spec::Linux& linux,
                              const std::string& origin);

}  // namespace coracle::plan
