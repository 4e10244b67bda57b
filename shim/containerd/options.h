// What containerd's users configure for a runtime: the options of Create.
//
// containerd.runc.v1.Options as they are; containerd.linux.runc.CreateOptions, which clients of
// containerd 1.6 use with a runtime that is not called runc; and runtimeoptions.v1.Options, which
// containerd makes of its own configuration for runtimes that it does not know, with the same
// settings as TOML. Anything else is passed over with a warning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shim/containerd/messages.h"

namespace coracle::shim {

struct Options {
  bool no_pivot_root = false;
  bool no_new_keyring = false;
  bool systemd_cgroup = false;
  std::string shim_cgroup;
  uint32_t io_uid = 0;
  uint32_t io_gid = 0;
  std::string root;  // of the state directories
  std::string criu_work_path;
};

// Throws Refusal if the bytes are malformed. What is not honoured is in `warnings`.
Options parse_options(const Any& any, std::vector<std::string>& warnings);

// containerd.runc.v1.CheckpointOptions, or containerd.linux.runc.CheckpointOptions from before it.
// Where the images go to containerd says in the request. Throws Refusal.
struct CheckpointOptions {
  bool exit = false;
  bool open_tcp = false;
  bool external_unix_sockets = false;
  bool terminal = false;
  bool file_locks = false;
  std::vector<std::string> empty_namespaces;
  std::string cgroups_mode;  // "": soft
  std::string work_path;
};
CheckpointOptions parse_checkpoint_options(const Any& any);

}  // namespace coracle::shim
