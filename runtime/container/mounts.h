// The verb `mounts`: mounts of a container that runs, added or taken away.
#pragma once

#include <string>

#include "runtime/store/container.h"
#include "spec/json.h"

namespace coracle::container {

enum class MountChange { kAdd, kRemove };

// `mounts`: a document of mounts alone. `container` is locked. Throws spec::Error; what was mounted
// before a failure stays.
void change_mounts(const std::string& root, store::Container& container,
                   const spec::Document& mounts, MountChange change);

}  // namespace coracle::container
