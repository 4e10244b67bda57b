// An overlay whose layers do not fit into one option of fsconfig(2), or are to be seen with other
// ids (containerd's snapshotters say so by the options uidmap and gidmap).
#pragma once

#include <string>
#include <string_view>

#include "runtime/sys/fd.h"
#include "runtime/sys/mount.h"

namespace coracle::shim {

struct Overlay {
  std::string_view layers;  // the value of lowerdir: paths with colons between them
  sys::FsOptions options;   // all others
  uint64_t attributes = 0;  // MOUNT_ATTR_*
};

// Both give a detached mount, or -errno in it and in `words` what the kernel says. They may be in
// another directory or mount namespace meanwhile: for a worker. Throw spec::Error.
sys::Fd make_overlay(const Overlay& overlay, std::string& words);
// `userns` maps the layers' ids. `place`: a directory; nothing is seen on it afterwards.
sys::Fd make_mapped_overlay(const Overlay& overlay, const sys::Fd& userns, const std::string& place,
                            std::string& words);

}  // namespace coracle::shim
