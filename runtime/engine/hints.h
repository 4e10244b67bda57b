// Which rule of the kernel is behind a refusal that its errno does not explain: most of them are
// about ordinary users and user namespaces.
#pragma once

#include <string>

#include "runtime/plan/builder.h"

namespace coracle::engine {

// "" where there is nothing to add. `error` is an errno (positive), of this
// call.
std::string why_denied(const plan::View& plan, const plan::Step& step, plan::Call call, int error);

// Why no new user namespace could be made.
std::string why_no_userns(int error);

}  // namespace coracle::engine
