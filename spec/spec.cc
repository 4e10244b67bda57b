#include "spec/spec.h"

namespace coracle::spec {

const LinuxNamespace* find_namespace(const Spec& spec, std::string_view type) {
  if (!spec.linux) return nullptr;
  for (const auto& entry : spec.linux->namespaces) {
    if (entry.type == type) return &entry;
  }
  return nullptr;
}

bool is_bind(const Mount& mount) {
  for (std::string_view option : mount.options) {
    if (option == "bind" || option == "rbind") return true;
  }
  return false;
}

}  // namespace coracle::spec
