// The container's mounts, in the order of config.json: new file systems, clones of host paths,
// changes of what is mounted already.
#include "runtime/plan/mounts.h"

#include <linux/mount.h>

#include <map>
#include <set>
#include <utility>

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
  const std::string prefix = directory == "/" ? directory : directory + "/";
  const auto first = paths.lower_bound(prefix);
  return first != paths.end() && first->starts_with(prefix);
}

static bool is_readonly_tmpfs(const Draft& d, size_t index) {
  const MountOptions& options = d.mounts[index].options;
  return !options.bind && d.spec.mounts[index].type == "tmpfs" && wants_readonly(options);
}

// Where something is still to be made: mount points, device nodes, /dev/console. Devices come last,
// below the last mount at "/"; of the mounts those count whose paths begin at the same root.
static void note_late_readonly(Draft& d) {
  std::set<std::string> later{"/dev/console"};
  for (const spec::LinuxDevice& device : d.spec.linux->devices)
    later.insert(clean_path(device.path));
  for (size_t i = d.mounts.size(); i-- > 0;) {
    PlannedMount& m = d.mounts[i];
    m.late_readonly = is_readonly_tmpfs(d, i) && has_below(later, m.target);
    later.insert(m.target);
    if (m.new_root) later.clear();
  }
}

// Directly in a tmpfs that was mounted just before: nothing can be there yet.
static void note_missing_targets(Draft& d) {
  std::map<std::string_view, size_t> last;  // by target: the last mount there
  for (size_t i = 0; i < d.mounts.size(); ++i) {
    PlannedMount& m = d.mounts[i];
    if (m.new_root) last.clear();
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
  unshare_root(d, m, attrs);

  MountFs step{};
  step.fstype = d.b.str(is_cgroup(mount) ? "cgroup2" : mount.type);
  step.source = mount.source.empty() ? Ref{0} : d.b.str(mount.source);
  add_fs_options(d, mount, m, step);
  step.mount_attrs = static_cast<uint32_t>(all.set);
  step.attrs = attrs.into(d.b);
  step.target = d.b.str(m.target);
  step.flags = fs_flags(d, mount, m.options);
  if (m.missing_target) step.flags |= kMountTargetMissing;
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
    if (!d.mounts[i].late_readonly) continue;
    AttrList attrs;
    attrs.change({MOUNT_ATTR_RDONLY, 0}, false);
    d.b.init(d.mounts[i].origin, Remount{d.b.str(d.mounts[i].target), attrs.into(d.b), {0, 0}});
  }
}

void add_mounts(Draft& d) {
  note_late_readonly(d);
  note_missing_targets(d);
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
  size_t root = d.mounts.size();
  while (root > 0 && !d.mounts[--root].new_root) {
  }
  make_readonly(d, root, d.mounts.size());
}

}  // namespace coracle::plan
