// What is told of a container, to hooks, by `state` and by `list`: the state document of
// runtime-spec (runtime.md, "State") and, as callers know them from other runtimes, rootfs, created
// and owner.
#pragma once

#include <string_view>

#include "runtime/store/container.h"
#include "spec/documents.h"

namespace coracle::store {

// Views of `record` and `owner`.
spec::State state_of(const Record& record, Status status, std::string_view owner);

}  // namespace coracle::store
