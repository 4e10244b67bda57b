// `features --host`: what of this build's features this machine does not give, and why.
#pragma once

#include <string>
#include <vector>

#include "spec/documents.h"

namespace coracle::host {

// Where to look; a struct so that tests can show another machine.
struct HostPlaces {
  std::string root;        // in front of /proc, /sys, /run; "" for the machine itself
  std::string path;        // $PATH
  std::string kernel;      // uname(2), release
  bool privileged = true;  // CAP_SYS_ADMIN in the initial user namespace
  uint32_t uid = 0;
};
HostPlaces this_host();

// Looks, changes nothing. Never throws: what cannot be read is what is lacking.
spec::HostFacts report_host(const HostPlaces& places);

// The options of mounts that this build knows (features.md, mountOptions).
std::vector<std::string_view> known_mount_options();

}  // namespace coracle::host
