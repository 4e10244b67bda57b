// The features document, for whoever else is asked for it.
#pragma once

#include <string>

namespace coracle::commands {

// JSON, without a newline at its end. What this build does, not what this machine has: a caller
// asks the runtime, not the kernel.
std::string features_text();

}  // namespace coracle::commands
