// Mounts of a container that runs: added to it, taken away from it.
#pragma once

#include <string>
#include <string_view>

#include "runtime/store/container.h"
#include "spec/json.h"

namespace coracle::execute {

enum class MountChange { kAdd, kRemove };

// `mounts` is a document of spec::Document::parse_mounts: all fields count to add, the destinations
// alone to take away. The container is locked and not stopped. If one of several cannot be added,
// those before it stay; the error names the one. Throws spec::Error.
void change_mounts(const std::string& root, const store::Container& container,
                   const spec::Document& mounts, MountChange change);

}  // namespace coracle::execute
