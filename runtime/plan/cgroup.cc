// The container's cgroup: made with the controllers its limits need, limited, given its device
// rules, handed over to the container's root where it may manage it. All of it is done before the
// clone, because the init is born inside (CLONE_INTO_CGROUP); but for the one limit that would not
// let it be born.
#include <algorithm>

#include "runtime/plan/devices_bpf.h"
#include "runtime/plan/limits.h"
#include "runtime/plan/plan.h"
#include "spec/error.h"
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
  if (!d.request.rootless_cgroup_errors_ignored) return false;
  if (!d.spec.linux || !d.spec.linux->cgroupsPath.empty()) return false;
  return std::all_of(writes.begin(), writes.end(), [](const LimitWrite& write) {
    return (write.flags & kCgroupIgnoreMissing) != 0;
  });
}

void add_make(Draft& d, const std::vector<LimitWrite>& writes, OnError on_error) {
  std::vector<Ref> names;
  for (std::string_view name : needed_controllers(writes)) names.push_back(d.b.str(name));
  d.b.parent("linux.cgroupsPath", CgroupMake{d.b.str(d.request.cgroup_path), d.b.list(names)},
             on_error);
}

// A cgroup that may have no processes lets none be born in it; to be there is no offence
// (cgroup-v2.rst, "PID": the limit holds fork and clone).
bool forbids_birth(const LimitWrite& write) {
  return write.file == "pids.max" && write.value == "0";
}

void add_limits(Draft& d, const std::vector<LimitWrite>& writes) {
  for (const LimitWrite& write : writes) {
    if (forbids_birth(write)) {
      d.forbids_birth = write.origin;
      continue;
    }
    d.b.parent(write.origin, CgroupWrite{d.b.str(write.file), d.b.str(write.value), write.flags});
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

void add_delegation(Draft& d) {
  if (!d.spec.linux || !d.spec.process || !is_delegated(d.spec)) return;
  const uint32_t uid = d.spec.process->user.uid;
  for (const spec::LinuxIDMapping& map : d.spec.linux->uidMappings) {
    if (uid < map.containerID || uid - map.containerID >= map.size) continue;
    const uint32_t host_uid = map.hostID + (uid - map.containerID);
    // What we make is ours already.
    if (host_uid != d.host.euid) d.b.parent("process.user.uid", CgroupDelegate{host_uid, kKeep});
    return;
  }
}

}  // namespace

void add_cgroup(Draft& d) {
  const spec::LinuxResources& resources = resources_of(d.spec);
  const std::vector<LimitWrite> writes = limit_writes(resources, d.host.controllers, d.warnings);
  if (d.request.cgroup_path.empty()) {
    for (const LimitWrite& write : writes) {
      if (write.flags & kCgroupIgnoreMissing) continue;
      throw Error::at(write.origin, "cannot be set: cgroups are disabled");
    }
    return;
  }
  if (is_optional(d, writes)) {
    // A cgroup made anew has no limits to take away, so nothing is written.
    add_make(d, writes, OnError::kWarn);
  } else {
    add_make(d, writes, OnError::kFail);
    add_limits(d, writes);
  }
  add_device_rules(d, resources);
  add_delegation(d);
}

void add_cgroup_after_clone(Draft& d) {
  if (d.forbids_birth.empty()) return;
  d.b.parent(d.forbids_birth, CgroupWrite{d.b.str("pids.max"), d.b.str("0"), 0});
}

}  // namespace coracle::plan
