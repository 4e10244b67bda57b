// Where a container's cgroup lies. Pure text; no kernel object is touched.
//
// An absolute linux.cgroupsPath is taken below the cgroup2 mount. A relative one, or none (then
// the id), is taken beside the caller's own cgroup: that one holds the caller and most likely
// others, so that no controller could be enabled for its children (cgroup-v2.rst, "No Internal
// Process Constraint").
#pragma once

#include <string>
#include <string_view>

namespace coracle::cgroup {

// An absolute path below the cgroup2 mount, without empty, "." or ".." components. `own`: the
// caller's cgroup (see unified_path). Throws spec::Error at linux.cgroupsPath: for "..", for the
// root itself, for names that the kernel refuses, and for a relative path when `own` lies outside
// of the caller's cgroup namespace.
std::string settle_path(std::string_view cgroups_path, std::string_view id, std::string_view own);

// The cgroup v2 entry ("0::/path") of the text of /proc/PID/cgroup (cgroups(7)); "" without one.
std::string unified_path(std::string_view proc_cgroup);

// The sub-cgroup of `exec --cgroup`: "/" or "" is the container's own, everything else is taken
// below it. Returns the normalised path relative to the container's cgroup ("" for itself). Throws
// spec::Error for "..".
std::string settle_sub_path(std::string_view sub);

}  // namespace coracle::cgroup
