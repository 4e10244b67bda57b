// Plans for the command `mounts`: see hot_mounts.cc.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/plan/plan.h"

namespace coracle::plan {

struct HotRequest {
  std::string_view id;
  std::string_view bundle;  // absolute: where relative sources begin
  uint64_t namespaces = 0;  // CLONE_NEW*: those of the container
};

struct HotPlan {
  std::vector<unsigned char> block;
  Slot container;  // to be filled with a pidfd of the container's init before the clone
};

// `spec` is the container's configuration with other `mounts`: those to add (all fields count) or
// to take away (their destinations count). Throw spec::Error.
HotPlan make_hot_mounts(const spec::Spec& spec, const HotRequest& request, const Host& host,
                        Warnings& warnings);
HotPlan make_hot_removal(const spec::Spec& spec, const HotRequest& request, const Host& host,
                         Warnings& warnings);

}  // namespace coracle::plan
