// Which seccomp filter a container's processes get: that of linux.seccomp, or what annotations put
// in its place (coracle-annotations(7)).
#pragma once

#include <optional>

#include "runtime/plan/seccomp.h"
#include "spec/spec.h"

namespace coracle::container {

// Gives linux.seccomp the agent that an annotation or RUN_OCI_SECCOMP_RECEIVER names, where it has
// none of its own. `spec` then borrows from the environment.
void settle_agent(spec::Spec& spec);
// Throws spec::Error if that variable cannot be meant.
void check_agent();

// Empty: no filter. Throws spec::Error.
std::optional<plan::seccomp::Program> filter_of(const spec::Spec& spec, plan::Warnings& warnings);

}  // namespace coracle::container
