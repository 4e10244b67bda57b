// What the files of the mounts' part of the plan share: sources.cc (host side, before the clone),
// mounts.cc (file systems and binds), devices.cc (/dev), rootfs.cc (the root itself, masks, pivot).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/plan.h"
#include "spec/text.h"

namespace coracle::plan {

// linux.rootfsPropagation.
struct Propagation {
  uint64_t flag;   // MS_*; MS_SLAVE when nothing is said
  bool recursive;  // an r form
  bool asked;
};
Propagation root_propagation(const Draft& d);

using spec::clean_path;

// Whether an id of the container is one of the host's.
bool is_mapped(const std::vector<spec::LinuxIDMapping>& mappings, uint32_t id);
// The host's number of an id of the container; kNoId if there is none.
uint32_t mapped_id(const std::vector<spec::LinuxIDMapping>& mappings, uint32_t id);

// A host path of the bundle: relative ones begin at the bundle.
std::string absolute_source(const Draft& d, std::string_view source);

// Collects the mount_setattr calls of one mount, as few as keep the meaning.
class AttrList {
 public:
  void change(const AttrChange& change, bool recursive);
  void propagate(uint64_t flag, bool recursive);
  void idmap(Slot userns, bool recursive);
  List into(Builder& b) const { return b.list(calls_); }

 private:
  SetAttr& call(bool recursive, bool mergeable);
  std::vector<SetAttr> calls_;
};

// Reads spec.mounts into d.mounts; throws for what cannot be done.
void read_mounts(Draft& d);
// The same with the user namespaces they are idmapped by and, where the container's own user
// namespace is in the way, a first clone by the parent (replace_trees says why it is not the last).
void read_mounts_of_running(Draft& d);
// OpenTree of the rootfs and of every bind source, by `actor`.
void open_trees(Draft& d, Actor actor);
bool clones_in_turn(const Draft& d);
// Every bind says private itself, so the host's mounts may be made that once and for all.
bool all_binds_are_private(const Draft& d);
// The options end with shared or rshared.
bool is_shared(const PlannedMount& m);
// pivot_root(2) refuses a shared root: a mount at "/" becomes shared behind it (RootAttr).
void unshare_root(const Draft& d, const PlannedMount& m, AttrList& attrs);
// `more`: kTree* beyond what the options say.
void open_source(Draft& d, PlannedMount& m, Actor actor, uint32_t more);
// The source is the container's own: cloned at its turn, by the init.
bool is_cloned_inside(const Draft& d, const PlannedMount& m);
void open_inside(Draft& d, PlannedMount& m);
// The same once more by the init, where it is in a user namespace: see kTreeReplace. Idmapped ones
// stay the parent's, who alone may map them.
void replace_trees(Draft& d);
// True if this mount is made by moving a detached clone of a host path.
bool is_clone(const spec::Mount& mount, const MountOptions& options);

// cgroup and cgroup2: both mean the one hierarchy there is.
inline bool is_cgroup(const spec::Mount& mount) {
  return mount.type == "cgroup" || mount.type == "cgroup2";
}

bool has_key(const std::vector<DataOption>& data, std::string_view key);
// Fills `options`, `page` and `page_flags` of the step; throws for what no kernel takes.
void add_fs_options(Draft& d, const spec::Mount& mount, const PlannedMount& m, MountFs& step);
// Superblock options of a mount that is there; throws likewise.
std::vector<FsOption> remount_options(Draft& d, const PlannedMount& m);

// Every mount, in the order of the list.
void add_mounts(Draft& d);
// tmpfs mounts that must be writable until everything below them is made: now read-only.
void add_late_readonly(Draft& d);

// The paths of the devices that add_devices makes, default and configured ones.
std::vector<std::string> device_paths(const spec::Spec& spec);
// Reads the default devices and linux.devices into d.devices, none if /dev is the host's; throws
// for what no node can be made of.
void read_devices(Draft& d);
// In a user namespace: the nodes made by the parent, where that has the right to.
void add_host_nodes(Draft& d);
// Default and configured devices, links, ptmx; nothing if /dev is the host's.
void add_devices(Draft& d);

}  // namespace coracle::plan
