// The cgroup of a container as kill, ps, pause and resume need it.
#pragma once

#include <string_view>

#include "runtime/cgroup/control.h"
#include "runtime/store/record.h"

namespace coracle::commands {

// Throws for a container without one (--cgroup-manager disabled); `verb` is for the message.
cgroup::Cgroup open_cgroup(const store::Record& record, std::string_view verb);

// The processes in it and below it; none if the cgroup is gone already.
std::vector<pid_t> processes(const store::Record& record, std::string_view verb);

// Sends `signal` to all of them. One that ends meanwhile is passed over, never another that got
// its pid.
void signal_all(const store::Record& record, int signal);

}  // namespace coracle::commands
