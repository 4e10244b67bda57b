// What went wrong, in words. The init sends {step, call, errno}; the parent, who holds the same
// plan, says what that means. Texts that engines match keep their wording (runtime/messages.h).
#pragma once

#include <string>

#include "runtime/execute/channel.h"
#include "runtime/plan/builder.h"
#include "spec/error.h"
#include "spec/spec.h"

namespace coracle::execute {

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

// Until the init says `kind` (kReached: of step `index`). Its warnings are logged, its failure is
// thrown; false when it is gone without a word. An fd that comes with the message goes to
// `descriptor`.
bool await_message(Channel& channel, const plan::View& plan, plan::MessageKind kind, uint16_t index,
                   const std::string& rootfs, sys::Fd* descriptor);

// Until the program runs (the socket closes on exec); throws if it could not be executed.
void await_exec(Channel& channel, const plan::View& plan, const std::string& rootfs);
// The debug record of that moment.
void tell_running();

}  // namespace coracle::execute
