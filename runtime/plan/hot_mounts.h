// Plans for the command `mounts`: see hot_mounts.cc.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/plan/plan.h"

namespace coracle::plan {

struct HotRequest : Request {
  uint64_t namespaces = 0;  // CLONE_NEW*: those of the container
};

// `spec` is the container's configuration with other `mounts`: those to add (all fields count) or
// to take away (their destinations count). Slot kExecContainer is the
// container's pidfd. Throw spec::Error.
std::vector<unsigned char> make_hot_mounts(const spec::Spec& spec, const HotRequest& request,
                                           const Host& host, Warnings& warnings);
std::vector<unsigned char> make_hot_removal(const spec::Spec& spec, const HotRequest& request,
                                            const Host& host, Warnings& warnings);

}  // namespace coracle::plan
