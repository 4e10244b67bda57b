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
  add_fs_options(d, mount, m, step);
  step.mount_attrs = static_cast<uint32_t>(all.set);
  step.attrs = attrs.into(d.b);
  step.target = d.b.str(m.target);
  step.flags = fs_flags(d, mount, m.options);
  if (is_surely_missing(d, index)) step.flags |= kMountTargetMissing;
  step.fallback = m.fallback;
  step.context = m.context;
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
  const std::vector<FsOption> options =
      m.options.bind ? std::vector<FsOption>() : remount_options(d, m);
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
