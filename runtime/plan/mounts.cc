// The container's mounts, in the order of config.json: new file systems, clones of host paths,
// changes of what is mounted already.
#include "runtime/plan/mounts.h"

#include <linux/mount.h>

#include <utility>

#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;

static bool below(std::string_view path, std::string_view directory) {
  if (directory == "/") return path != directory;
  return path.size() > directory.size() && path.substr(0, directory.size()) == directory &&
         path[directory.size()] == '/';
}

// ---- new file systems --------------------------------------------------------------------------

static bool wants_readonly(const MountOptions& o) {
  AttrChange all = o.attrs;
  all.then(o.recursive);
  return (all.set & MOUNT_ATTR_RDONLY) != 0;
}

// The end of those mounts, from `index` on, whose paths begin at the same root.
static size_t end_of_root(const Draft& d, size_t index) {
  do ++index;
  while (index < d.mounts.size() && !d.mounts[index].new_root);
  return index;
}

// Something is still to be made in it: mount points, device nodes, /dev/console.
static bool is_filled_later(const Draft& d, size_t index) {
  const std::string& target = d.mounts[index].target;
  const size_t end = end_of_root(d, index);
  for (size_t i = index + 1; i < end; ++i)
    if (below(d.mounts[i].target, target)) return true;
  if (end < d.mounts.size()) return false;
  if (target == "/dev" || target == "/") return true;
  for (const spec::LinuxDevice& device : d.spec.linux->devices)
    if (below(clean_path(device.path), target)) return true;
  return false;
}

static bool is_late_readonly(const Draft& d, size_t index) {
  const PlannedMount& m = d.mounts[index];
  return !m.options.bind && d.spec.mounts[index].type == "tmpfs" && wants_readonly(m.options) &&
         is_filled_later(d, index);
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

// Directly in a tmpfs that was mounted just before: nothing can be there yet.
static bool is_surely_missing(const Draft& d, size_t index) {
  const std::string_view target = d.mounts[index].target;
  const std::string_view parent = target.substr(0, target.rfind('/'));
  bool missing = false;
  for (size_t i = 0; i < index; ++i) {
    if (d.mounts[i].target == target || d.mounts[i].new_root) missing = false;
    if (d.mounts[i].target != parent) continue;
    missing = d.spec.mounts[i].type == "tmpfs" && d.mounts[i].source.empty() &&
              !d.mounts[i].options.copy_up && !d.mounts[i].options.remount;
  }
  return missing;
}

static void add_fs(Draft& d, size_t index) {
  const spec::Mount& mount = d.spec.mounts[index];
  const PlannedMount& m = d.mounts[index];
  AttrChange all = m.options.attrs;
  all.then(m.options.recursive);  // there is nothing below a new file system
  AttrList attrs;
  if (m.userns != kNoSlot) attrs.idmap(m.userns, false);
  if (is_late_readonly(d, index)) {
    all.set &= ~uint64_t{MOUNT_ATTR_RDONLY};
  } else if (m.options.copy_up && wants_readonly(m.options)) {
    all.set &= ~uint64_t{MOUNT_ATTR_RDONLY};
    attrs.change({MOUNT_ATTR_RDONLY, 0}, false);
  }
  for (const PropagationOption& p : m.options.propagation) attrs.propagate(p.flag, false);
  unshare_root(d, m, attrs);

  MountFs step{};
  step.fstype = d.b.str(is_cgroup(mount) ? "cgroup2" : mount.type);
  step.source = mount.source.empty() ? Ref{0} : d.b.str(mount.source);
  step.options = d.b.list(fs_options(d, mount, m.options, m.origin));
  step.mount_attrs = static_cast<uint32_t>(all.set);
  step.attrs = attrs.into(d.b);
  step.target = d.b.str(m.target);
  step.flags = fs_flags(d, mount, m.options);
  if (is_surely_missing(d, index)) step.flags |= kMountTargetMissing;
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

// tmpfs mounts that had to be writable until everything below them was made.
static void make_readonly(Draft& d, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if (!is_late_readonly(d, i)) continue;
    AttrList attrs;
    attrs.change({MOUNT_ATTR_RDONLY, 0}, false);
    d.b.init(d.mounts[i].origin, Remount{d.b.str(d.mounts[i].target), attrs.into(d.b), {0, 0}});
  }
}

void add_mounts(Draft& d) {
  size_t root = 0;  // since where paths begin at this root
  for (size_t i = 0; i < d.mounts.size(); ++i) {
    PlannedMount& m = d.mounts[i];
    if (m.new_root) make_readonly(d, std::exchange(root, i), i);
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
  size_t root = 0;
  while (end_of_root(d, root) < d.mounts.size()) root = end_of_root(d, root);
  make_readonly(d, root, d.mounts.size());
}

}  // namespace coracle::plan
