// What the shim keeps in a container's bundle for its other incarnations, and taking a container
// away, which each of them can do.
//
//   BUNDLE/state-root      the state root that its record is in
//   BUNDLE/address         the address of the shim that serves it
//   BUNDLE/exit            how its first process ended; there before anybody is told
#pragma once

#include <string>
#include <string_view>

#include "runtime/sys/clock.h"

namespace coracle::shim {

// The state root of a namespace: ROOT/NAMESPACE, with ROOT from the runtime options or the default.
std::string state_root(std::string_view root_option, std::string_view name_space);

// Throws spec::Error.
void write_state_root(const std::string& bundle, const std::string& root);
// "" if there is none.
std::string read_state_root(const std::string& bundle);

// What containerd is told of a socket: "unix://PATH".
std::string address_of(const std::string& path);
// Replaced by rename: a reader sees the old or the new address, never half of one.
void write_address(const std::string& bundle, const std::string& address);
std::string read_address(const std::string& bundle);

struct Exit {
  uint32_t pid = 0;  // 0: not known
  uint32_t status = 0;
  sys::Time at;
};
void write_exit(const std::string& bundle, const Exit& exit);
// What is not known of it is 0.
Exit read_exit(const std::string& bundle);

// Kills what runs, runs poststop hooks, removes cgroup, record and mounts. A container that is not
// there is no error. Throws spec::Error.
void remove_container(const std::string& root, const std::string& id, const std::string& rootfs);

}  // namespace coracle::shim
