// What went wrong, in words. The init sends {step, call, errno}; the parent, who holds the same
// plan, says what that means. Texts that engines match keep their wording (runtime/messages.h).
#pragma once

#include <string>

#include "runtime/plan/builder.h"
#include "spec/error.h"
#include "spec/spec.h"

namespace coracle::engine {

// The failure of a step of `plan` that `message` reports. `rootfs` (a host path, may be empty) is
// looked into when the program could not be executed, to say which piece is missing.
spec::Error failure(const plan::View& plan, const plan::Message& message,
                    const std::string& rootfs);

// A failure after `start`, when the plan is no longer at hand: told from the configuration.
spec::Error start_failure(const plan::Message& message, const spec::Spec& spec,
                          const std::string& rootfs);

// The same for a step that the parent did itself.
spec::Error parent_failure(const plan::View& plan, const plan::Step& step, plan::Call call,
                           int error, std::string_view detail);

}  // namespace coracle::engine
