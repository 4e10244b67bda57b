// The container's mounts, in the order of config.json: new file systems, clones of host paths,
// changes of what is mounted already.
#include "runtime/plan/mounts.h"

#include <linux/mount.h>

#include <map>
#include <set>

#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;

// ---- new file systems --------------------------------------------------------------------------

static bool wants_readonly(const MountOptions& o) {
  AttrChange all = o.attrs;
  all.then(o.recursive);
  return (all.set & MOUNT_ATTR_RDONLY) != 0;
}

static bool has_below(const std::set<std::string>& paths, const std::string& directory) {
  const std::string prefix = directory + "/";
  const auto first = paths.lower_bound(prefix);
  return first != paths.end() && first->starts_with(prefix);
}

static bool is_readonly_tmpfs(const Draft& d, size_t index) {
  const MountOptions& options = d.mounts[index].options;
  return !options.bind && d.spec.mounts[index].type == "tmpfs" && wants_readonly(options);
}

// Where something is still to be made: mount points, device nodes, /dev/console.
static void note_late_readonly(Draft& d) {
  std::set<std::string> later;
  for (const spec::LinuxDevice& device : d.spec.linux->devices)
    later.insert(clean_path(device.path));
  for (size_t i = d.mounts.size(); i-- > 0;) {
    PlannedMount& m = d.mounts[i];
    m.late_readonly = is_readonly_tmpfs(d, i) && (m.target == "/dev" || has_below(later, m.target));
    later.insert(m.target);
  }
}

// Directly in a tmpfs that was mounted just before: nothing can be there yet.
static void note_missing_targets(Draft& d) {
  std::map<std::string_view, size_t> last;  // by target: the last mount there
  for (size_t i = 0; i < d.mounts.size(); ++i) {
    PlannedMount& m = d.mounts[i];
    const std::string_view target = m.target;
    const auto parent = last.find(target.substr(0, target.rfind('/')));
    const auto same = last.find(target);
    if (parent != last.end() && (same == last.end() || same->second < parent->second)) {
      const PlannedMount& p = d.mounts[parent->second];
      m.missing_target = d.spec.mounts[parent->second].type == "tmpfs" && p.source.empty() &&
                         !p.options.copy_up && !p.options.remount;
    }
    last[target] = i;
  }
}

static bool has_key(const std::vector<DataOption>& data, std::string_view key) {
  for (const DataOption& option : data)
    if (option.key == key) return true;
  return false;
}

// Superblock flags as fsconfig(2) names them; the last of a pair decides.
static std::vector<std::string_view> settle_super(const MountOptions& o, bool remount) {
  std::vector<std::string_view> out;
  auto drop = [&out](std::string_view name) {
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i] == name) out.erase(out.begin() + static_cast<std::ptrdiff_t>(i--));
  };
  static constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
      {"sync", "async"}, {"lazytime", "nolazytime"}, {"mand", "nomand"}};
  for (std::string_view flag : o.super) {
    bool off = false;
    drop(flag);
    for (const auto& [set, clear] : kPairs) {
      if (flag == clear) drop(set);
      if (flag == set) drop(clear);
      off |= flag == clear;
    }
    if (!off || remount) out.push_back(flag);  // off is how a new file system begins
  }
  return out;
}

// SELinux: the file systems that carry labels get the container's (config-linux.md, mountLabel).
static std::string_view label_key(const Draft& d, const spec::Mount& mount) {
  if (d.spec.linux->mountLabel.empty() || !d.host.selinux) return "";
  for (std::string_view type : {"proc", "sysfs", "mqueue", "cgroup", "cgroup2"})
    if (mount.type == type) return "";
  const std::string_view key = spec::find(d.spec.annotations, spec::kMountContextType);
  return key.empty() ? std::string_view("context") : key;
}

static FsOption fs_option(Draft& d, std::string_view key, const std::optional<std::string>& value) {
  return {d.b.str(key), value ? d.b.str(*value) : Ref{0}};
}

// The kernel, which reads them as ids of the container's user namespace, would only say EINVAL.
static void check_owner(const Draft& d, const DataOption& option, const std::string& origin) {
  const bool uid = option.key == "uid";
  if (!d.new_userns || (!uid && option.key != "gid") || !option.value) return;
  const auto& mappings = uid ? d.spec.linux->uidMappings : d.spec.linux->gidMappings;
  const auto id = spec::parse_number(*option.value, UINT32_MAX);
  if (!id || mappings.empty() || is_mapped(mappings, static_cast<uint32_t>(*id))) return;
  throw spec::Error::at(cat(origin, ".options"),
                        cat(option.key, "=", *option.value, " is not mapped by linux.", option.key,
                            "Mappings: map it, or leave this option out"));
}

static std::vector<FsOption> fs_options(Draft& d, const spec::Mount& mount, const MountOptions& o,
                                        const std::string& origin) {
  std::vector<FsOption> out;
  // A device that cannot be written must not be asked to (a read-only mount of a writable
  // superblock is enough for everything that lives in memory).
  if (wants_readonly(o) && mount.source.substr(0, 1) == "/")
    out.push_back(fs_option(d, "ro", std::nullopt));
  for (std::string_view flag : settle_super(o, false))
    out.push_back(fs_option(d, flag, std::nullopt));
  for (const DataOption& option : o.data) {
    // Every devpts is an instance of its own since Linux 4.7.
    if (mount.type == "devpts" && option.key == "newinstance") continue;
    check_owner(d, option, origin);
    out.push_back(fs_option(d, option.key, option.value));
  }
  const std::string_view key = label_key(d, mount);
  if (!key.empty() && !has_key(o.data, key))
    out.push_back(fs_option(d, key, std::string(d.spec.linux->mountLabel)));
  return out;
}

static uint32_t fs_flags(const Draft& d, const spec::Mount& mount, const MountOptions& o) {
  const bool userns = d.new_userns || !d.host.initial_userns;
  uint32_t flags = 0;
  if (mount.type == "proc" || mount.type == "sysfs") flags |= kMountNoSymlinks;
  if (mount.type == "sysfs" && userns) flags |= kMountSysBind;
  if (mount.type == "mqueue" && userns) flags |= kMountMqueueBind;
  if (is_cgroup(mount) && userns) flags |= kMountCgroupBind;
  if (o.target_nofollow) flags |= kMountTargetNoFollow;
  if (mount.type == "tmpfs") {
    if (o.copy_up) flags |= kMountCopyUp;
    if (!has_key(o.data, "mode")) flags |= kMountKeepMode;
  }
  return flags;
}

static void add_fs(Draft& d, size_t index) {
  const spec::Mount& mount = d.spec.mounts[index];
  const PlannedMount& m = d.mounts[index];
  AttrChange all = m.options.attrs;
  all.then(m.options.recursive);  // there is nothing below a new file system
  AttrList attrs;
  if (m.userns != kNoSlot) attrs.idmap(m.userns, false);
  if (m.late_readonly) {
    all.set &= ~uint64_t{MOUNT_ATTR_RDONLY};
  } else if (m.options.copy_up && wants_readonly(m.options)) {
    all.set &= ~uint64_t{MOUNT_ATTR_RDONLY};
    attrs.change({MOUNT_ATTR_RDONLY, 0}, false);
  }
  for (const PropagationOption& p : m.options.propagation) attrs.propagate(p.flag, false);

  MountFs step{};
  step.fstype = d.b.str(is_cgroup(mount) ? "cgroup2" : mount.type);
  step.source = mount.source.empty() ? Ref{0} : d.b.str(mount.source);
  step.options = d.b.list(fs_options(d, mount, m.options, m.origin));
  step.mount_attrs = static_cast<uint32_t>(all.set);
  step.attrs = attrs.into(d.b);
  step.target = d.b.str(m.target);
  step.flags = fs_flags(d, mount, m.options);
  if (m.missing_target) step.flags |= kMountTargetMissing;
  step.fallback = m.fallback;
  d.b.init(m.origin, step);
}

// ---- binds and changes
// ---------------------------------------------------------------------------

static void add_clone_of(Draft& d, PlannedMount& m) {
  if (clones_in_turn(d)) open_source(d, m, Actor::kInit, 0);
  if (is_cloned_inside(d, m)) open_inside(d, m);
  uint32_t flags = 0;
  if (m.options.target_nofollow) flags |= kMountTargetNoFollow;
  if (m.options.copy_symlink) flags |= kMountCopySymlink;
  if (m.target == "/proc") flags |= kMountMustBeProc | kMountNoSymlinks;
  d.b.init(m.origin, MountTree{m.tree, d.b.str(m.target), flags});
}

static void add_change(Draft& d, size_t index) {
  const PlannedMount& m = d.mounts[index];
  AttrList attrs;
  attrs.change(m.options.attrs, false);
  attrs.change(m.options.recursive, true);
  for (const PropagationOption& p : m.options.propagation) attrs.propagate(p.flag, p.recursive);
  std::vector<FsOption> options;
  if (!m.options.bind) {
    for (std::string_view flag : settle_super(m.options, true))
      options.push_back(fs_option(d, flag, std::nullopt));
    for (const DataOption& option : m.options.data)
      options.push_back(fs_option(d, option.key, option.value));
  }
  d.b.init(m.origin, Remount{d.b.str(m.target), attrs.into(d.b), d.b.list(options)});
}

void add_mounts(Draft& d) {
  note_late_readonly(d);
  note_missing_targets(d);
  for (size_t i = 0; i < d.mounts.size(); ++i) {
    PlannedMount& m = d.mounts[i];
    if (!m.source.empty()) {
      add_clone_of(d, m);
    } else if (m.options.remount || d.spec.mounts[i].type.empty()) {
      add_change(d, i);
    } else {
      add_fs(d, i);
    }
  }
}

void add_late_readonly(Draft& d) {
  for (const PlannedMount& m : d.mounts) {
    if (!m.late_readonly) continue;
    AttrList attrs;
    attrs.change({MOUNT_ATTR_RDONLY, 0}, false);
    d.b.init(m.origin, Remount{d.b.str(m.target), attrs.into(d.b), {0, 0}});
  }
}

}  // namespace coracle::plan
