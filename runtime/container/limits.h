// `update`: other limits for a container that lives, whoever made its cgroup.
#pragma once

#include "runtime/store/record.h"
#include "spec/spec.h"

namespace coracle::container {

// Limits that `resources` does not name stay as they are, and so do device rules. JSON paths in
// errors start with "linux.resources". Warnings are logged. Throws spec::Error.
void change_limits(const store::Record& record, const spec::LinuxResources& resources);

}  // namespace coracle::container
