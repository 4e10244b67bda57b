// A user namespace for an ordinary user's container whose bundle does not say which: without one he
// can make no other namespace, and nothing at all can be mounted (user_namespaces(7)).
#pragma once

#include "spec/spec.h"
#include "spec/validate.h"

namespace coracle::container {

// If the caller is an ordinary user: gives `spec` a user namespace if it has none, and a new one
// without mappings the caller as its root and, above, the first ranges that /etc/subuid and
// /etc/subgid grant. A warning says so. Root, and who maps only users or only groups, gets the
// mapping that is missing (spec::complete_id_maps), and a line of debugging says so.
void complete_userns(spec::Spec& spec, spec::Warnings& warnings);

}  // namespace coracle::container
