// The host's side of the mounts: the rootfs and the sources of binds as detached clones, complete
// with their attributes, before there is a container.
#include <linux/mount.h>
#include <linux/sched.h>

#include <algorithm>
#include <map>

#include "runtime/plan/idmap_ranges.h"
#include "runtime/plan/mounts.h"
#include "runtime/plan/namespaces.h"
#include "spec/error.h"
#include "spec/names.h"
#include "spec/near_names.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

Propagation root_propagation(const Draft& d) {
  const auto value = spec::value_of(spec::kPropagations, d.spec.linux->rootfsPropagation);
  if (!value) return {MS_SLAVE, true, false};
  const auto flags = static_cast<uint64_t>(*value);
  return {flags & ~uint64_t{MS_REC}, (flags & MS_REC) != 0, true};
}

// ---- AttrList --------------------------------------------------------------------------------

SetAttr& AttrList::call(bool recursive, bool mergeable) {
  const auto flag = static_cast<uint32_t>(recursive);
  if (!mergeable || calls_.empty() || calls_.back().recursive != flag)
    calls_.push_back(SetAttr{0, 0, 0, kNoSlot, flag});
  return calls_.back();
}

void AttrList::change(const AttrChange& change, bool recursive) {
  if (change.empty()) return;
  SetAttr& to = call(recursive, !calls_.empty() && calls_.back().userns == kNoSlot);
  AttrChange all{to.set, to.clr};
  all.then(change);
  to.set = all.set;
  to.clr = all.clr;
}

void AttrList::propagate(uint64_t flag, bool recursive) {
  if (flag == 0) return;
  const bool covered = !calls_.empty() && calls_.back().propagation == flag &&
                       (calls_.back().recursive != 0 || !recursive);
  if (covered) return;
  // Private and unbindable forget whatever was before; slave and shared build on it.
  const bool forgets = flag == MS_PRIVATE || flag == MS_UNBINDABLE;
  const bool fresh = !calls_.empty() && calls_.back().userns == kNoSlot &&
                     (calls_.back().propagation == 0 || forgets);
  call(recursive, fresh).propagation = flag;
}

void AttrList::idmap(Slot userns, bool recursive) {
  SetAttr& to = call(recursive, false);
  to.set = MOUNT_ATTR_IDMAP;
  to.userns = userns;
}

// ---- reading spec.mounts -----------------------------------------------------------------------

bool is_clone(const spec::Mount& mount, const MountOptions& options) {
  return options.bind && !(options.remount && mount.source.empty());
}

// What images and engines may put over files of /proc: lxcfs. Everything else there could feed the
// runtime a false /proc/self/attr or sysctl (CVE-2019-16884).
static bool is_emulated_by_lxcfs(std::string_view path) {
  for (std::string_view name : {"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat",
                                "/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo",
                                "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled"})
    if (path == name) return true;
  return false;
}

static void check_target(const Draft& d, const spec::Mount& mount, const PlannedMount& m) {
  const std::string path = cat(m.origin, ".destination");
  if (m.target == "/" && d.running)
    throw Error::at(path, "the root of a running container is not a place for a mount");
  if (m.target == "/proc" && !m.options.bind && !m.options.remount && mount.type != "proc")
    throw Error::at(path, cat("/proc takes a mount of type proc, not ", spec::quoted(mount.type)));
  if (m.target.rfind("/proc/", 0) == 0 && !is_emulated_by_lxcfs(m.target))
    throw Error::at(path, cat(m.target, " is inside /proc: nothing may be mounted there"));
}

static void check_type(const spec::Mount& mount, const PlannedMount& m) {
  const bool changes = m.options.remount || !m.options.propagation.empty();
  if (m.options.bind || (mount.type.empty() && changes)) return;
  for (std::string_view none : {"", "bind", "rbind", "none"})
    if (mount.type == none)
      throw Error::at(cat(m.origin, ".type"),
                      cat("a mount is a bind mount if its options have bind or rbind; these have "
                          "not",
                          spec::bind_hint(mount.options)));
}

std::string absolute_source(const Draft& d, std::string_view source) {
  return source.substr(0, 1) == "/" ? std::string(source) : cat(d.request.bundle, "/", source);
}

// The part of a host path that is below root.path, as the container sees it; else "".
static std::string inside_rootfs(const Draft& d, std::string_view path) {
  if (!d.spec.root || d.running) return "";
  const std::string root = clean_path(absolute_source(d, d.spec.root->path));
  const std::string clean = clean_path(path);
  if (root == "/" || !clean.starts_with(root) || clean[root.size()] != '/') return "";
  return clean.substr(root.size());
}

// A destination below root.path has ever been taken for one that says where it is on the host.
static std::string target_of(Draft& d, const spec::Mount& mount, const std::string& origin) {
  std::string inside = inside_rootfs(d, mount.destination);
  if (inside.empty()) return clean_path(mount.destination);
  d.warnings.push_back(cat(origin, ".destination: ", spec::quoted(mount.destination),
                           " is below root.path; taken as ", inside));
  return inside;
}

static std::string ignored_option(const PlannedMount& m, std::string_view key) {
  const std::string warning =
      cat(m.origin, ".options: ", spec::quoted(key),
          " is for file systems; a bind mount has none of its own: ignored");
  for (std::string_view known : known_mount_options())
    if (spec::is_near(key, known)) return cat(warning, "; there is ", spec::quoted(known));
  return warning;
}

void read_mounts(Draft& d) {
  d.mounts.clear();
  for (size_t i = 0; i < d.spec.mounts.size(); ++i) {
    const spec::Mount& mount = d.spec.mounts[i];
    PlannedMount& m = d.mounts.emplace_back();
    m.origin = cat("mounts[", i, "]");
    m.options = parse_mount_options(mount, m.origin);
    for (const DataOption& option : m.options.ignored)
      d.warnings.push_back(ignored_option(m, option.key));
    m.target = target_of(d, mount, m.origin);
    check_target(d, mount, m);
    check_type(mount, m);
    m.new_root = m.target == "/" &&
                 (is_clone(mount, m.options) || (!m.options.remount && !mount.type.empty()));
    if (!is_clone(mount, m.options)) continue;
    m.source = absolute_source(d, mount.source);
    m.inside = inside_rootfs(d, m.source);
  }
}

// ---- idmapped mounts ---------------------------------------------------------------------------

// One user namespace for each different pair of maps.
using Userns = std::map<std::string, Slot>;

static Slot container_userns(Draft& d, const PlannedMount& m, Userns& known) {
  const spec::LinuxNamespace* user = find_namespace(d.spec, "user");
  if (user == nullptr)
    throw Error::at(cat(m.origin, ".options"),
                    "idmap without mappings, and the container has no user namespace");
  if (user->path.empty()) return kNoSlot;
  const auto [it, added] = known.try_emplace(cat("path ", user->path), kNoSlot);
  if (added) {
    it->second = d.b.slot();
    d.b.parent(m.origin, OpenNamespace{d.b.str(user->path), CLONE_NEWUSER, it->second});
  }
  return it->second;
}

static Slot mapped_userns(Draft& d, const PlannedMount& m, const IdMapTexts& maps, Userns& known) {
  const auto [it, added] = known.try_emplace(cat(maps.uids, "|", maps.gids), kNoSlot);
  if (added) {
    it->second = d.b.slot();
    d.b.parent(m.origin, IdmapUserns{d.b.str(maps.uids), d.b.str(maps.gids), it->second});
  }
  return it->second;
}

static Slot add_idmap(Draft& d, const spec::Mount& mount, const PlannedMount& m, Userns& known) {
  if (!m.options.idmap && mount.uidMappings.empty()) return kNoSlot;
  if (!d.host.privileged)
    throw Error::at(m.origin, "an idmapped mount needs CAP_SYS_ADMIN over the host's file system");
  if (!m.options.idmap_ranges.empty())
    return mapped_userns(
        d, m, parse_idmap_ranges(m.options.idmap_ranges, *d.spec.linux, cat(m.origin, ".options")),
        known);
  if (!mount.uidMappings.empty())
    return mapped_userns(d, m, {id_map_text(mount.uidMappings), id_map_text(mount.gidMappings)},
                         known);
  const Slot joined = container_userns(d, m, known);
  if (joined != kNoSlot) return joined;
  return mapped_userns(
      d, m, {id_map_text(d.spec.linux->uidMappings), id_map_text(d.spec.linux->gidMappings)},
      known);
}

// ---- detached clones ---------------------------------------------------------------------------

// What a clone inherits from the host's peer groups before its own options apply. Shared stays as
// it is: that is what "shared" is for.
static uint64_t clone_propagation(const Draft& d) {
  const Propagation p = root_propagation(d);
  if (p.flag == MS_SHARED) return 0;
  return p.flag == MS_SLAVE ? MS_SLAVE : MS_PRIVATE;
}

static void open_rootfs(Draft& d, Actor actor, uint32_t replace) {
  // pivot_root(2) refuses a shared root; what was asked for comes at the end (RootAttr).
  const Propagation p = root_propagation(d);
  AttrList attrs;
  attrs.propagate(p.flag == MS_SLAVE ? MS_SLAVE : MS_PRIVATE, true);
  if (d.rootfs == kNoSlot) d.rootfs = d.b.slot();
  d.b.add(actor, "root.path",
          OpenTree{d.b.str(absolute_source(d, d.spec.root->path)), attrs.into(d.b), d.rootfs,
                   kTreeRecursive | kTreeMustBeDirectory | replace});
}

// Bind sources are cloned by the init, each at its mount's turn, wherever it has the same rights on
// them as the parent: since Linux 6.8 mountinfo lists mounts in the order of their making, and the
// order of `mounts` is a promise (config.md, "Mounts"). Not so in a user namespace, and not where
// clones are to be peers of the host's shared mounts.
bool clones_in_turn(const Draft& d) {
  return d.parent_mounts && !d.new_userns && !d.running && root_propagation(d).flag != MS_SHARED;
}

// "rbind,private" is not: what is mounted below still hears of the host's changes.
static bool is_private(const PlannedMount& m) {
  return !m.options.propagation.empty() &&
         std::all_of(m.options.propagation.begin(), m.options.propagation.end(),
                     [&m](const PropagationOption& p) {
                       return p.flag == MS_PRIVATE && (p.recursive || !m.options.rbind);
                     });
}

bool all_binds_are_private(const Draft& d) {
  return clones_in_turn(d) &&
         std::all_of(d.mounts.begin(), d.mounts.end(),
                     [](const PlannedMount& m) { return m.source.empty() || is_private(m); });
}

// A bind keeps what restricts its source as long as its options name no flag of a mount; naming one
// names them all (mount(2), MS_REMOUNT|MS_BIND; so in runc and crun). Access times stay, and, where
// a user namespace locks them, all but nosymfollow (mount_namespaces(7)).
static AttrChange bind_change(const Draft& d, const MountOptions& o) {
  if (o.attrs.empty()) return {};
  const bool locked = d.new_userns || !d.parent_mounts || !d.host.initial_userns;
  constexpr uint64_t kLockable =
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  AttrChange all{0, MOUNT_ATTR_NOSYMFOLLOW | (locked ? 0 : kLockable)};
  all.then(o.attrs);
  return all;
}

static void idmap_attr(const PlannedMount& m, AttrList& attrs) {
  if (m.userns != kNoSlot) attrs.idmap(m.userns, m.options.rbind && m.options.idmap_recursive);
}

bool is_shared(const PlannedMount& m) {
  return !m.options.propagation.empty() && m.options.propagation.back().flag == MS_SHARED;
}

void unshare_root(const Draft& d, const PlannedMount& m, AttrList& attrs) {
  if (!m.new_root) return;
  if (is_shared(m)) {
    attrs.propagate(MS_SLAVE, false);  // not private: it may be somebody's slave as well
  } else if (root_propagation(d).flag == MS_SHARED) {
    attrs.propagate(MS_PRIVATE, false);  // the clone may be a peer of the host's mount
  }
}

static AttrList clone_attrs(const Draft& d, const PlannedMount& m, bool idmap) {
  const bool rec = m.options.rbind;  // else the clone is a single mount
  AttrList attrs;
  if (idmap) idmap_attr(m, attrs);
  attrs.change(bind_change(d, m.options), false);
  attrs.change(m.options.recursive, rec);
  // In turn, the host's mounts have their propagation already (PropagationRoot).
  if (!clones_in_turn(d)) attrs.propagate(clone_propagation(d), rec);
  if (all_binds_are_private(d)) return attrs;
  for (const PropagationOption& p : m.options.propagation)
    attrs.propagate(p.flag, rec && p.recursive);
  unshare_root(d, m, attrs);
  return attrs;
}

// What the container's own mounts have put there by its turn is the source of a bind below
// root.path.
bool is_cloned_inside(const Draft& d, const PlannedMount& m) {
  return !m.inside.empty() && !clones_in_turn(d);
}

void open_source(Draft& d, PlannedMount& m, Actor actor, uint32_t more) {
  uint32_t flags = more | (m.options.rbind ? kTreeRecursive : 0);
  if (m.options.source_nofollow || m.options.copy_symlink) flags |= kTreeNoFollow;
  if (m.tree == kNoSlot) m.tree = d.b.slot();
  const Ref path = d.b.str((more & kTreeInRoot) != 0 ? m.inside : m.source);
  const List attrs = clone_attrs(d, m, (more & kTreeSend) == 0).into(d.b);
  d.b.add(actor, m.origin, OpenTree{path, attrs, m.tree, flags});
}

// Only the init sees the container's mounts, and only the parent may idmap them (mount_setattr(2):
// CAP_SYS_ADMIN in the user namespace of the file system): the one clones, the other maps.
void open_inside(Draft& d, PlannedMount& m) {
  const bool sent = m.userns != kNoSlot && d.new_userns;
  open_source(d, m, Actor::kInit, kTreeInRoot | (sent ? kTreeSend : 0));
  if (!sent) return;
  AttrList attrs;
  idmap_attr(m, attrs);
  d.b.parent(m.origin, IdmapTree{attrs.into(d.b)});
  d.b.init("", Meet{});
}

// In a user namespace without a cgroup namespace of its own the kernel refuses a new cgroup2 mount:
// then the container is shown its own cgroup and nothing else (CVE-2023-25809).
static void open_cgroup(Draft& d, PlannedMount& m, Actor actor) {
  if (find_namespace(d.spec, "cgroup") != nullptr || d.create.cgroup_path.empty()) return;
  AttrList attrs;
  attrs.change(m.options.attrs, false);
  attrs.propagate(MS_PRIVATE, false);
  m.fallback = d.b.slot();
  d.b.add(actor, m.origin,
          OpenTree{d.b.str(cat("/sys/fs/cgroup", d.create.cgroup_path)), attrs.into(d.b),
                   m.fallback, 0},
          OnError::kSkipMissing);
}

void open_trees(Draft& d, Actor actor) {
  open_rootfs(d, actor, 0);
  for (size_t i = 0; i < d.mounts.size(); ++i) {
    PlannedMount& m = d.mounts[i];
    if (!m.source.empty()) {
      if (!clones_in_turn(d) && !is_cloned_inside(d, m)) open_source(d, m, actor, 0);
    } else if (d.new_userns && is_cgroup(d.spec.mounts[i])) {
      open_cgroup(d, m, actor);
    }
  }
}

void replace_trees(Draft& d) {
  open_rootfs(d, Actor::kInit, kTreeReplace);
  for (PlannedMount& m : d.mounts)
    if (!m.source.empty() && m.userns == kNoSlot && !is_cloned_inside(d, m))
      open_source(d, m, Actor::kInit, kTreeReplace);
}

static void read_mounts_with_maps(Draft& d) {
  read_mounts(d);
  Userns known;
  for (size_t i = 0; i < d.mounts.size(); ++i)
    d.mounts[i].userns = add_idmap(d, d.spec.mounts[i], d.mounts[i], known);
}

// Unlike a process's label it confines nobody: what has no label here is as safe as all else.
static void warn_of_label(Draft& d) {
  if (!d.spec.linux->mountLabel.empty() && !d.host.selinux)
    d.warnings.push_back("linux.mountLabel: SELinux is off on this host: ignored");
}

void add_sources(Draft& d) {
  warn_of_label(d);
  read_mounts_with_maps(d);
  read_devices(d);
  if (d.parent_mounts) open_trees(d, Actor::kParent);
  add_host_nodes(d);
}

void read_mounts_of_running(Draft& d) {
  read_mounts_with_maps(d);
  if (!d.parent_mounts || !d.new_userns) return;
  for (PlannedMount& m : d.mounts)
    if (!m.source.empty()) open_source(d, m, Actor::kParent, 0);
}

}  // namespace coracle::plan
