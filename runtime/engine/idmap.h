// User and group id maps: written to a new process's /proc files, by ourselves or through the
// setuid helpers newuidmap and newgidmap (user_namespaces(7), newuidmap(1)).
#pragma once

#include <sys/types.h>

#include <string_view>

#include "runtime/sys/fd.h"

namespace coracle::engine {

// Maps as text, a line "inside outside count" each. Throws spec::Error; the helpers' own words on
// stderr are part of it.
void write_id_maps(pid_t pid, std::string_view uid_map, std::string_view gid_map,
                   bool deny_setgroups, bool use_helpers);

// A user namespace with these maps that no process lives in, to idmap mounts with
// (mount_setattr(2), Linux 5.12). Throws spec::Error.
sys::Fd make_idmap_userns(std::string_view uid_map, std::string_view gid_map);

}  // namespace coracle::engine
