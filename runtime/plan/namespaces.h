// Namespace types: their names in the spec, their CLONE_NEW* flags, their files below /proc/PID/ns.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spec/spec.h"

namespace coracle::plan {

struct NamespaceType {
  std::string_view name;  // in config.json
  const char* file;       // below /proc/PID/ns
  uint32_t flag;          // CLONE_NEW*
};
inline constexpr int kNamespaceTypes = 8;
extern const NamespaceType kNamespaces[kNamespaceTypes];

// 0 for an unknown name.
uint32_t namespace_flag(std::string_view name);
// "network" for CLONE_NEWNET; "" for an unknown flag.
std::string_view namespace_name(uint32_t flag);

// The lines to write to /proc/PID/uid_map or gid_map (user_namespaces(7)).
std::string id_map_text(const std::vector<spec::LinuxIDMapping>& mappings);

}  // namespace coracle::plan
