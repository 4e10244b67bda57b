// The parent's steps, a function a kind; defined by subject in steps_*.cc, unit.cc, net_devices.cc
// and intel_rdt.cc.
#pragma once

#include "runtime/engine/walk.h"

namespace coracle::engine {

// Throw spec::Error.
#define X(name, text) void run(Walk& w, const plan::name& p);
CORACLE_PARENT_STEPS(X)
#undef X

// Kinds that the init does too: with its code, or, where it takes a right on the host that the init
// no longer has, from outside on the waiting init.
void run_shared(Walk& w, const plan::Step& step);

// There is no cgroup, and none is on record.
void forget_cgroup(Walk& w);

}  // namespace coracle::engine
