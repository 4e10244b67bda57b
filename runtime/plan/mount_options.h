// The options of a mount in config.json (config.md "Linux mount options", and those that engines
// send beyond it) -> what the kernel is asked for.
//
// - flags of one mount (ro, nosuid, noatime, ...) and their recursive forms (rro, ...) become
//   MOUNT_ATTR_* bits to set and to clear, a later option overriding an earlier one;
// - flags of the superblock (sync, dirsync, lazytime, mand) become file system options of the same
//   name; acl, noacl, iversion, noiversion, silent, loud are accepted and ask for nothing: the new
//   mount API has no such flags, file systems with ACLs or that count changes (since Linux 6.1)
//   always do, and the kernel's log is not ours;
// - propagation is kept in the order given;
// - what the table does not know is an option of the file system.
//
// Pure. An option that the kernel could not be given is an error with its JSON path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/format.h"
#include "spec/spec.h"

namespace coracle::plan {

// MOUNT_ATTR_* bits as mount_setattr(2) takes them: new = (old & ~clr) | set.
struct AttrChange {
  uint64_t set = 0;
  uint64_t clr = 0;
  bool empty() const { return set == 0 && clr == 0; }
  void then(const AttrChange& later);
};

struct PropagationOption {
  uint64_t flag;  // MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE
  bool recursive;
};

// What fsconfig(2) takes of a string.
inline constexpr size_t kLongestValue = 255;

struct DataOption {  // "key" or "key=value", as fsconfig(2) takes it
  std::string key;
  std::optional<std::string> value;
};

struct MountOptions {
  bool bind = false;  // bind or rbind
  bool rbind = false;
  bool remount = false;
  bool copy_up = false;       // tmpcopyup
  bool copy_symlink = false;  // copy-symlink
  bool source_nofollow = false;
  bool target_nofollow = false;
  bool idmap = false;  // idmap or ridmap
  bool idmap_recursive = false;
  std::string_view idmap_ranges;  // "uids=0-1-10#10-11-10;gids=0-100-10", or ""
  AttrChange attrs;
  AttrChange recursive;
  std::vector<PropagationOption> propagation;
  std::vector<std::string_view> super;  // sync, dirsync, ... for file systems, not for binds
  std::vector<DataOption> data;
  std::vector<DataOption> ignored;  // options of the file system on a bind mount, to be warned of
};

// `origin` is the JSON path of the mount ("mounts[3]"). Throws spec::Error.
MountOptions parse_mount_options(const spec::Mount& mount, std::string_view origin);

// Every option the table knows, in alphabetical order, for the features document.
std::vector<std::string_view> known_mount_options();

// An entry of spec.mounts on its way into the plan.
struct PlannedMount {
  MountOptions options;
  std::string target;       // absolute, without "." and ".." and double slashes
  bool new_root = false;    // mounted on "/": hides all before it, paths begin at it from then on
  std::string origin;       // "mounts[3]"
  Slot tree = kNoSlot;      // bind: the detached source
  Slot userns = kNoSlot;    // idmapped: its user namespace
  Slot context = kNoSlot;   // proc: its fsopen(2), done inside a joined pid namespace
  Slot fallback = kNoSlot;  // cgroup in a user namespace: the container's cgroup
  std::string source;       // bind: absolute
  std::string inside;       // bind of what lies below root.path: its path in the container, or ""
  bool late_readonly = false;   // a read-only tmpfs in which something is still to be made
  bool missing_target = false;  // nothing can be at the target yet
};

}  // namespace coracle::plan
