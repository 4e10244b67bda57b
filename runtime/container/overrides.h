// What the command line of `exec ID CMD...` changes in the container's own process.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/spec.h"

namespace coracle::container {

struct Overrides {
  std::vector<std::string> args;
  std::vector<std::string> env;  // NAME=value, appended
  std::string cwd;               // "": the container's
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::vector<uint32_t> additional_gids;  // appended
  std::vector<std::string> capabilities;  // added to bounding, effective and permitted; to
                                          // ambient as far as they are inheritable
  std::string apparmor;                   // "": the container's
  std::string selinux_label;              // "": the container's
  std::optional<bool> no_new_privileges;
  bool terminal = false;  // never taken from the container's process
};

// The process to run. Pure. Its strings belong to `base`'s document and to `changes`.
spec::Process apply(const Overrides& changes, const spec::Process& base);

}  // namespace coracle::container
