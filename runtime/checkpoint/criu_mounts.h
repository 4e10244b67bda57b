// Mounts that come from the host and that criu therefore neither saves nor makes again by itself:
// binds, masked files, and device nodes bound for want of mknod. In the images they have names; at
// `restore` config.json, never the images, says what is mounted there.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/criu/messages.h"
#include "spec/spec.h"

namespace coracle::checkpoint {

// {mount point, name} of each, as they are in the running container `pid`. Throws spec::Error.
std::vector<criu::Pair> external_mounts_of(pid_t pid, const spec::Spec& spec);

// {name, source on the host} of each. Throws spec::Error where a bind's source is missing.
std::vector<criu::Pair> external_mounts_for(const spec::Spec& spec, const std::string& bundle);

// Makes the mount points that are missing in the rootfs, or, below a bind, in its source: `create`
// made them, but this may be another copy of the files. What lies on a file system that the images
// hold (a tmpfs) comes with it. Throws spec::Error.
void make_mount_points(const spec::Spec& spec, const std::string& bundle,
                       const std::string& rootfs);

}  // namespace coracle::checkpoint
