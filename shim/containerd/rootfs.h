// The root filesystem of a container, as containerd's snapshotters describe it: mounts to be put
// onto BUNDLE/rootfs, in order.
#pragma once

#include <string>
#include <vector>

#include "shim/containerd/messages.h"

namespace coracle::shim {

// Makes the directory if need be. Nothing stays mounted if it throws (spec::Error). It may change
// the working directory for a moment: for a worker.
void mount_rootfs(const std::vector<RootfsMount>& mounts, const std::string& rootfs);

// Takes away everything mounted on the directory (lazily, umount2(2) MNT_DETACH). Nothing mounted,
// or no such directory, is no error. Throws spec::Error.
void unmount_rootfs(const std::string& rootfs);

}  // namespace coracle::shim
