// Facts about the host and the caller, asked once and only as far as the spec needs them, so that
// planning stays pure.
#pragma once

#include "runtime/plan/plan.h"
#include "spec/spec.h"

namespace coracle::host {

plan::Host probe_host(const spec::Spec& spec);

// Whether the caller has CAP_SYS_ADMIN (in whatever user namespace it is).
bool has_sys_admin();

// Throws unless every fd that is to be handed on, from 3 on, is open.
void check_handed_fds(uint32_t listen_fds, uint32_t preserve_fds);

}  // namespace coracle::host
