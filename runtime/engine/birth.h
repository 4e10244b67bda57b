// Where the init is born: in the container's cgroup, by whichever way there is.
#pragma once

#include "runtime/engine/walk.h"

namespace coracle::engine {

// launch() with the walk's cgroup. Where clone3(2) cannot put the process there, it is moved in
// while it waits for its first step: by systemd, which an ordinary user outside of his systemd's
// cgroups (in a login session) has to ask (EACCES), or by us, where a filter around us refuses
// clone3(2) (ENOSYS). Throws spec::Error.
Child give_birth(Walk& w, const plan::Clone& p);

}  // namespace coracle::engine
