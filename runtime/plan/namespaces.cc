#include "runtime/plan/namespaces.h"

#include <linux/sched.h>
#include <sys/mount.h>

#include "runtime/plan/entry.h"
#include "runtime/plan/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

const NamespaceType kNamespaces[kNamespaceTypes] = {
    {"cgroup", "cgroup", CLONE_NEWCGROUP}, {"ipc", "ipc", CLONE_NEWIPC},
    {"uts", "uts", CLONE_NEWUTS},          {"network", "net", CLONE_NEWNET},
    {"pid", "pid", CLONE_NEWPID},          {"time", "time", CLONE_NEWTIME},
    {"mount", "mnt", CLONE_NEWNS},         {"user", "user", CLONE_NEWUSER},
};

uint32_t namespace_flag(std::string_view name) {
  for (const NamespaceType& type : kNamespaces)
    if (type.name == name) return type.flag;
  return 0;
}

std::string_view namespace_name(uint32_t flag) {
  for (const NamespaceType& type : kNamespaces)
    if (type.flag == flag) return type.name;
  return "";
}

std::string id_map_text(const std::vector<spec::LinuxIDMapping>& mappings) {
  std::string text;
  for (const auto& m : mappings)
    spec::append(text, m.containerID, " ", m.hostID, " ", m.size, "\n");
  return text;
}

static std::string time_offsets_text(const spec::Linux& linux) {
  std::string text;
  for (const auto& [clock, offset] : linux.timeOffsets)
    spec::append(text, clock, " ", offset.secs, " ", offset.nanosecs, "\n");
  return text;
}

static size_t index_of(const spec::Linux& linux, std::string_view type) {
  size_t i = 0;
  while (linux.namespaces[i].type != type) ++i;
  return i;
}

static Slot open_namespace(Draft& d, std::string_view path, const NamespaceType& type,
                           const std::string& origin) {
  const Slot slot = d.b.slot();
  d.b.parent(origin, OpenNamespace{d.b.str(path), type.flag, slot});
  return slot;
}

// Opened and checked before anything exists.
static void open_joined(Draft& d, Entry& e) {
  for (const NamespaceType& type : kNamespaces) {
    const spec::LinuxNamespace* ns = find_namespace(d.spec, type.name);
    if (ns == nullptr || ns->path.empty()) continue;
    const std::string origin =
        cat("linux.namespaces[", index_of(*d.spec.linux, type.name), "].path");
    const Slot slot = open_namespace(d, ns->path, type, origin);
    if (type.flag == CLONE_NEWUSER) {
      e.user = slot;
    } else if (type.flag == CLONE_NEWPID) {
      e.pids = slot;
    } else {
      e.joins.push_back({Join{slot, type.flag}, origin});
    }
  }
}

static uint64_t new_namespaces(const Draft& d) {
  uint64_t flags = 0;
  for (const auto& ns : d.spec.linux->namespaces)
    if (ns.path.empty()) flags |= namespace_flag(ns.type);
  // Made by the init itself: its root is to be the container's cgroup, not the parent's.
  return flags & ~uint64_t{CLONE_NEWCGROUP};
}

static bool is_only(const std::vector<spec::LinuxIDMapping>& mappings, uint32_t id) {
  return mappings.size() == 1 && mappings[0].size == 1 && mappings[0].hostID == id;
}

// The kernel would only say EPERM.
static void check_privilege(const Draft& d, uint64_t flags) {
  if (d.host.privileged || (flags & ~uint64_t{CLONE_NEWUSER}) == 0 || d.new_userns) return;
  throw Error::at("linux.namespaces",
                  "without CAP_SYS_ADMIN a container needs a user namespace of its own: add one, "
                  "with linux.uidMappings and linux.gidMappings (coracle spec --rootless)");
}

void add_id_maps(Draft& d) {
  const spec::Linux& linux = *d.spec.linux;
  uint32_t flags = 0;
  // Unprivileged, the kernel lets us map ourselves alone, and only with setgroups denied
  // (user_namespaces(7)); anything else is for the setuid helpers.
  const bool alone =
      is_only(linux.uidMappings, d.host.euid) && is_only(linux.gidMappings, d.host.egid);
  if (d.host.euid != 0) flags |= alone ? kMapsDenySetgroups : kMapsUseHelpers;
  d.b.parent("linux.uidMappings", IdMaps{d.b.str(id_map_text(linux.uidMappings)),
                                         d.b.str(id_map_text(linux.gidMappings)), flags});
}

void add_clone(Draft& d) {
  const spec::Linux& linux = *d.spec.linux;
  Entry e;
  open_joined(d, e);
  e.fresh = new_namespaces(d);
  check_privilege(d, e.fresh);
  if (!linux.timeOffsets.empty() && (e.fresh & CLONE_NEWTIME) != 0)
    e.time_offsets = d.b.str(time_offsets_text(linux));
  if (!d.create.cgroup_path.empty()) e.clone_flags |= kCloneIntoCgroup;
  if (d.new_userns) e.clone_flags |= kCloneUserns;
  if (d.spec.process) {
    e.uid = d.spec.process->user.uid;
    e.gid = d.spec.process->user.gid;
  }
  add_entry(d, e);
}

// Moved while the init mounts. Before hooks, which may configure them, and before sysctls of theirs
// (process.cc); whoever comes later meets the parent anyhow.
void add_net_devices(Draft& d) {
  if (d.spec.linux->netDevices.empty()) return;
  d.b.parent("", Meet{});  // the init has joined the namespace they go to
  for (const auto& [name, device] : d.spec.linux->netDevices) {
    const std::string origin = cat("linux.netDevices[", spec::quoted(name), "]");
    if (d.host.euid != 0)
      throw Error::at(origin,
                      "needs CAP_NET_ADMIN in the network namespace that the device is in, which "
                      "an ordinary user does not have: leave it out, or run as root");
    d.b.parent(origin, NetDevice{d.b.str(name), d.b.str(cat(device.name))});
  }
}

void add_namespace_entries(Draft& d) {
  if (!d.pids_last) d.b.init("", SetSession{});
  if (!d.create.no_new_keyring) {
    if (d.spec.process) add_keyring_label(d, *d.spec.process);
    d.b.init("", Keyring{d.b.str(cat("_ses.", d.request.id))}, OnError::kWarn);
  }
  const spec::LinuxNamespace* cgroup = find_namespace(d.spec, "cgroup");
  if (cgroup != nullptr && cgroup->path.empty())
    d.b.init(cat("linux.namespaces[", index_of(*d.spec.linux, "cgroup"), "]"), CgroupNamespace{});
  const spec::LinuxNamespace* net = find_namespace(d.spec, "network");
  if (net != nullptr && net->path.empty()) d.b.init("", LoopbackUp{});
}

}  // namespace coracle::plan
