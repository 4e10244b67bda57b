// What is kept of a container on disk: ROOT/ID/state.json. Its keys are documented in
// coracle(8) and stay compatible: keys are only ever added.
//
// Nothing that can go stale is stored: there is no "running" in it. What a container does is
// derived (container.h) from the phase, the identity of its process and the boot id.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/sys/process.h"

namespace coracle::store {

enum class Phase : uint8_t {
  kCreating,  // kernel objects may exist; `delete` has to look for them
  kCreated,   // the init is complete and waits, runs, or has ended
  kStopping,  // being deleted: kill, poststop hooks and removal may each be repeated
};
std::string_view phase_name(Phase phase);  // "creating", ...

struct Record {
  Phase phase = Phase::kCreating;
  std::string id;
  std::string bundle;          // absolute, or ""
  std::string rootfs;          // absolute, or ""
  sys::ProcessId process;      // the container's first process; pid 0 before the clone
  sys::ProcessId creator;      // who runs `create`; without it, "creating" means "interrupted"
  std::string boot_id;         // of the boot in which the two above and the cgroup exist
  std::string cgroup_path;     // "/..." below the cgroup2 mount; "": none (manager disabled)
  std::string cgroup_manager;  // "cgroupfs", "systemd", "disabled"
  // With systemd: the unit that holds the cgroup, and the D-Bus address at which it was made. As
  // long as cgroup_path is empty, a unit of that name may be somebody else's.
  std::string unit;
  std::string bus;
  std::string shim;     // address of the shim that it is a child of, or ""
  std::string created;  // RFC 3339, nanoseconds, UTC
  uint32_t owner = 0;   // uid of who made it
  bool rootless = false;
  bool checkpointed = false;  // ended by `checkpoint`: `restore` may take its place
  bool terminal = false;
  uint64_t namespaces = 0;  // CLONE_NEW*: what the container does not share with its creator
  bool own_pids = false;    // its pid namespace is new, not joined: it ends with the first process
  // Without a mount namespace: id of the mount (statx, STATX_MNT_ID) that holds the rootfs; what is
  // mounted above it is the container's, and is taken away by delete. 0: nothing is.
  uint64_t rootfs_mount = 0;
  // Absolute paths; each may be "".
  std::string intel_rdt;          // resctrl group to remove on delete
  std::string intel_rdt_group;    // resctrl group of its processes
  std::string intel_rdt_monitor;  // monitoring group of its processes, to remove on delete
  std::vector<std::pair<std::string, std::string>> annotations;
};

// Throws spec::Error at the member whose value no record of ours has: a path with "..", a pid that
// is none, a cgroup that is not the unit's. (That a good value is this container's own, nothing
// here can know.)
void check(const Record& record);

// A record as JSON text, one object.
std::string to_json(const Record& record);
// Throws spec::Error (with file, line, column and member) if `text` is no record, or one that
// check() refuses.
Record parse_record(std::string text, std::string_view file);

}  // namespace coracle::store
