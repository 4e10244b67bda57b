#pragma once
// The JSON documents that the runtime hands out: container state (runtime.md, "State"), lists of
// it, the seccomp agent's container process state (config-linux.md), features (features.md), and
// an example configuration.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spec/json_write.h"
#include "spec/spec.h"

namespace coracle::spec {

// runtime-spec's version that all these documents comply with.
inline constexpr std::string_view kSpecVersion = "1.3.0";

// How a container ended.
struct StateExit {
  int code = 0;    // exit status, or 128 + signal
  int signal = 0;  // 0: none
  std::optional<bool> oom_killed;
  std::string_view time;  // RFC 3339
};

// What is told about a container. Views need to live only during the call. Empty `rootfs`,
// `created`, `owner` and `annotations` are left out.
struct State {
  std::string_view id;
  std::string_view status;        // creating, created, running, stopped; paused
  int pid = 0;                    // written even when 0, as callers decode it
  std::string_view bundle;        // absolute
  std::string_view rootfs;        // absolute
  std::string_view created;       // RFC 3339
  std::string_view owner;         // name or #UID
  std::string_view systemd_unit;  // key systemd-scope; "" without systemd
  Map<std::string_view> annotations;
  const StateExit* exit = nullptr;  // how a stopped one ended, if that is known
};

// One state. kCompact for hooks' standard input, kSpaces for the command `state`.
std::string state_json(const State& state, JsonStyle style);

// A line with an array of states. Callers decode an empty list from `null` as from `[]`; `[]` is
// what is written.
std::string list_json(const std::vector<State>& states);

// What a seccomp agent gets along with the listener (config-linux.md, "The Container Process
// State"): `pid` as the runtime sees it, `fds` the names of the descriptors sent.
std::string process_state_json(const State& state, int pid, const Strings& fds,
                               std::string_view metadata);

// What a machine gives of it.
struct HostFacts {
  std::string kernel;                                      // release
  std::vector<std::string> controllers;                    // of cgroup v2
  std::vector<std::pair<std::string, std::string>> lacks;  // feature, reason
};

// What this build has. All lists come from spec/names.h, but for those given here.
struct FeatureFacts {
  std::string_view version;             // of the runtime
  std::string_view commit;              // "" if unknown
  std::string_view libseccomp_version;  // "2.5.4"
  Strings seccomp_architectures;        // empty: all that the specification names
  Strings mount_options;                // empty: all that the specification names
  Strings unsafe_annotations;           // keys, or prefixes with a "." at the end
  bool systemd = false;                 // system-wide systemd cgroup manager
  bool systemd_user = false;
  bool rdma = false;
  bool apparmor = false;
  bool selinux = false;
  bool intel_rdt = false;
  bool memory_policy = false;
  bool idmap = false;
  bool net_devices = false;
  bool checkpoint = false;
  const HostFacts* host = nullptr;  // told too, as "host"
};

// Indented by two spaces.
std::string features_json(const FeatureFacts& facts);

// An example config.json, indented by tabs: a read-only rootfs, a shell on a terminal, new
// namespaces of all kinds but user and time, the usual file systems.
std::string example_config();

// The same for a user without privileges: the given ids become root of a new user namespace, the
// host's network and its /sys are used, no cgroup limits.
std::string example_config_rootless(uint32_t uid, uint32_t gid);

}  // namespace coracle::spec
