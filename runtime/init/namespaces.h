// Entering namespaces: the steps by which the init, already the sealed program, gets from the
// runtime's namespaces into the container's (the drawing in namespaces.cc).
#pragma once

#include "runtime/init/init.h"

namespace coracle::init {

// Fork: returns in the child alone, and only if the parent may still be there. On failure -errno.
long fork_into(Context& c, const plan::Fork& p);

// clone3(2), or, where a seccomp filter around the runtime refuses that, clone(2). As fork(2);
// `parent_tid`: null, or where the kernel writes the child's pid (CLONE_PARENT_SETTID).
long clone_process(uint64_t flags, int exit_signal, int32_t* parent_tid);

}  // namespace coracle::init
