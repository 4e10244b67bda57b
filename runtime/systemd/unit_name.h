// Which systemd unit a container is, by linux.cgroupsPath. Pure text.
//
// "slice:prefix:name" is the unit prefix-name.scope in that slice; a name that ends in ".slice" is
// the unit itself. An empty slice is system.slice, for a user's own systemd user.slice. Without a
// path the unit is coracle-ID.scope.
#pragma once

#include <string>
#include <string_view>

namespace coracle::systemd {

struct UnitName {
  std::string unit;   // "libpod-1234.scope"
  std::string slice;  // "machine.slice"
  std::string path;   // of its cgroup below systemd's own: "/machine.slice/libpod-1234.scope"
  bool is_slice() const { return unit.ends_with(".slice"); }
};

// Throws spec::Error at linux.cgroupsPath.
UnitName settle_unit(std::string_view cgroups_path, std::string_view id, bool user);

// systemd.slice(5): "a-b.slice" is "/a.slice/a-b.slice", "-.slice" is "". Throws as above.
std::string slice_path(std::string_view slice);

}  // namespace coracle::systemd
