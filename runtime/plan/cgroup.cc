// The container's cgroup: made with the controllers its limits need, by ourselves or by systemd,
// limited, given its device rules, handed over to the container's root where it may manage it. All
// of it is done before the clone, because the init is born inside (CLONE_INTO_CGROUP); but for the
// limits that would not let it be born.
#include <algorithm>
#include <optional>

#include "runtime/plan/devices_bpf.h"
#include "runtime/plan/limits.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/unit.h"
#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::plan {
namespace {

using spec::cat;
using spec::Error;

constexpr uint32_t kKeep = UINT32_MAX;  // chown(2): leave as it is

const spec::LinuxResources& resources_of(const spec::Spec& spec) {
  static const spec::LinuxResources kNone;
  return spec.linux && spec.linux->resources ? *spec.linux->resources : kNone;
}

// An ordinary user's container runs without a cgroup of its own where he may not make one, as long
// as neither limits nor a place were asked for.
bool is_optional(const Draft& d, const std::vector<LimitWrite>& writes) {
  if (!d.create.rootless_cgroup_errors_ignored) return false;
  if (!d.spec.linux || !d.spec.linux->cgroupsPath.empty()) return false;
  return std::all_of(writes.begin(), writes.end(), [](const LimitWrite& write) {
    return (write.flags & kCgroupIgnoreMissing) != 0;
  });
}

List controllers(Draft& d, const std::vector<LimitWrite>& writes) {
  std::vector<Ref> names;
  for (std::string_view name : needed_controllers(writes)) names.push_back(d.b.str(name));
  return d.b.list(names);
}

// Until runtime-spec 1.3 the limit could not be left out, and engines write 0 for "none" (Podman's
// --pids-limit 0); since then 0 is a limit.
bool is_unset(const spec::Spec& spec, const LimitWrite& write) {
  if (write.origin != "linux.resources.pids.limit" || spec.linux->resources->pids->limit != 0)
    return false;
  const std::optional<spec::Version> version = spec::parse_version(spec.ociVersion);
  return version && version->major == 1 && version->minor < 3;
}

// A new cgroup has no limit of tasks, but a unit gets systemd's DefaultTasksMax= if it has none.
void take_unset_away(const Draft& d, std::vector<LimitWrite>& writes) {
  const auto first = std::find_if(writes.begin(), writes.end(), [&d](const LimitWrite& write) {
    return is_unset(d.spec, write);
  });
  if (first == writes.end()) return;
  if (d.create.unit.empty()) {
    writes.erase(first);
  } else {
    first->value = "max";
    first->flags = kCgroupIgnoreMissing;
  }
}

void add_make(Draft& d, const std::vector<LimitWrite>& writes, OnError on_error) {
  const List names = controllers(d, writes);
  d.b.parent("linux.cgroupsPath", CgroupMake{d.b.str(d.create.cgroup_path), names}, on_error);
}

void add_property(Draft& d, const UnitProperty& p) {
  std::vector<Ref> strings;
  for (const std::string& string : p.strings) strings.push_back(d.b.str(string));
  d.b.parent(p.origin, SetUnitProperty{d.b.str(p.name), d.b.str(p.type), d.b.list(strings),
                                       d.b.list(p.numbers)});
}

// What systemd is told of every container. Without accounting it would leave controllers out.
void add_own_properties(Draft& d) {
  const bool is_slice = d.create.unit.ends_with(".slice");
  const std::string slice(d.create.slice);
  add_property(d, {"Description", "s", {}, {std::string(d.create.unit_description)}});
  if (is_slice) {
    add_property(d, {"Wants", "as", {}, {slice}});
  } else {
    add_property(d, {"Slice", "s", {}, {slice}});
    add_property(d, {"Delegate", "b", {1}});
  }
  for (const char* name : {"MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"})
    add_property(d, {name, "b", {1}});
  add_property(d, {"DefaultDependencies", "b", {0}});
  // A failed one is not kept for someone to look at: its name is the container's.
  add_property(d, {"CollectMode", "s", {}, {"inactive-or-failed"}});
}

void add_unit(Draft& d, const std::vector<LimitWrite>& writes) {
  add_own_properties(d);
  for (const UnitProperty& p : limit_properties(writes, d.create.systemd_version))
    add_property(d, p);
  for (const UnitProperty& p : annotation_properties(d.spec.annotations)) add_property(d, p);
  const List names = controllers(d, writes);
  d.b.parent("linux.cgroupsPath",
             StartUnit{d.b.str(d.create.unit), d.b.str(d.create.cgroup_path), names});
}

void add_limit(Draft& d, const LimitWrite& write) {
  d.b.parent(write.origin, CgroupWrite{d.b.str(write.file), d.b.str(write.value), write.flags});
}

// A limit of no tasks lets nobody be born in the cgroup, nor does one of a single task while a
// scope has its placeholder in it.
bool is_late(const Draft& d, const LimitWrite& write) {
  if (write.file != "pids.max") return false;
  return write.value == "0" || (write.value == "1" && !d.create.unit.empty());
}

void add_limits(Draft& d, const std::vector<LimitWrite>& writes) {
  for (const LimitWrite& write : writes) {
    if (!is_late(d, write)) {
      add_limit(d, write);
      continue;
    }
    d.late_limits.push_back(write);
    if (d.create.unit.empty()) continue;
    add_limit(d, {write.file, "2", write.flags, write.origin});  // systemd has set 1 by now
  }
}

void add_device_rules(Draft& d, const spec::LinuxResources& resources) {
  const std::vector<uint64_t> program = device_program(resources.devices);
  // Attaching takes CAP_BPF or CAP_SYS_ADMIN in the initial user namespace. Who lacks them can
  // make no device nodes either: what he may open is up to the host's permissions.
  if (program.empty() || !d.host.initial_userns || !d.host.privileged) return;
  d.b.parent("linux.resources.devices", CgroupDevices{d.b.list(program)});
}

// runtime-spec, "Cgroup ownership": only with a new cgroup namespace and a writable cgroup mount.
bool is_delegated(const spec::Spec& spec) {
  const spec::LinuxNamespace* ns = find_namespace(spec, "cgroup");
  if (ns == nullptr || !ns->path.empty()) return false;
  for (const spec::Mount& mount : spec.mounts) {
    std::string_view target = mount.destination;
    while (target.size() > 1 && target.back() == '/') target.remove_suffix(1);
    if (target != "/sys/fs/cgroup" || (mount.type != "cgroup" && mount.type != "cgroup2")) continue;
    // The last word counts, as with mount(8).
    bool writable = true;
    for (std::string_view option : mount.options) {
      if (option == "ro" || option == "rro") writable = false;
      if (option == "rw" || option == "rrw") writable = true;
    }
    return writable;
  }
  return false;
}

std::optional<uint32_t> host_id(const std::vector<spec::LinuxIDMapping>& mappings, uint32_t id) {
  for (const spec::LinuxIDMapping& map : mappings)
    if (id >= map.containerID && id - map.containerID < map.size)
      return map.hostID + (id - map.containerID);
  return std::nullopt;
}

void add_delegation(Draft& d) {
  if (!d.spec.linux || !d.spec.process || !is_delegated(d.spec)) return;
  const auto uid = host_id(d.spec.linux->uidMappings, d.spec.process->user.uid);
  // What we make is ours already.
  if (uid && *uid != d.host.euid) d.b.parent("process.user.uid", CgroupDelegate{*uid, kKeep});
}

}  // namespace

void add_cgroup(Draft& d) {
  const spec::LinuxResources& resources = resources_of(d.spec);
  std::vector<LimitWrite> writes = limit_writes(resources, d.host.controllers, d.warnings);
  take_unset_away(d, writes);
  if (d.create.cgroup_path.empty()) {
    for (const LimitWrite& write : writes) {
      if (write.flags & kCgroupIgnoreMissing) continue;
      throw Error::at(write.origin, "cannot be set: cgroups are disabled");
    }
    return;
  }
  if (!d.create.unit.empty()) {
    add_unit(d, writes);
    add_limits(d, writes);
  } else if (is_optional(d, writes)) {
    // A cgroup made anew has no limits to take away, so nothing is written.
    add_make(d, writes, OnError::kWarn);
  } else {
    add_make(d, writes, OnError::kFail);
    add_limits(d, writes);
  }
  add_device_rules(d, resources);
  add_delegation(d);
}

// Behind the init's cgroup namespace, whose root the container's own cgroup is to be.
void add_cgroup_leaf(Draft& d) {
  const std::string_view leaf = spec::find(d.spec.annotations, spec::kDelegateCgroup);
  if (leaf.empty()) return;
  const std::string origin = cat("annotations[", spec::quoted(spec::kDelegateCgroup), "]");
  if (cat("/", leaf, "/").find("/../") != std::string::npos)
    throw Error::at(origin, "a path below the container's cgroup has no ..");
  if (d.create.cgroup_path.empty()) throw Error::at(origin, "the container has no cgroup");
  const spec::Linux& linux = *d.spec.linux;
  const spec::User user = d.spec.process ? d.spec.process->user : spec::User();
  d.b.parent(origin,
             CgroupLeaf{d.b.str(leaf), host_id(linux.uidMappings, user.uid).value_or(user.uid),
                        host_id(linux.gidMappings, user.gid).value_or(user.gid)});
}

void add_late_limits(Draft& d) {
  for (const LimitWrite& write : d.late_limits) add_limit(d, write);
}

}  // namespace coracle::plan
