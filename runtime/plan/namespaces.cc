#include "runtime/plan/namespaces.h"

#include <linux/sched.h>
#include <sys/mount.h>

#include "runtime/plan/plan.h"
#include "runtime/plan/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

// In the order in which a privileged launcher joins them: the user namespace last, because until
// then it has the host's capabilities over all the others.
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

static bool has_new_userns(const Draft& d) {
  const spec::LinuxNamespace* user = find_namespace(d.spec, "user");
  return user != nullptr && user->path.empty();
}

// Opened and checked before anything exists. Unprivileged, the user namespace comes first: it is
// what gives the right to join the others. The cgroup namespace is left to the init, which is in
// its cgroup then, but not where it will be in a new user namespace: that has no right to join it.
static std::vector<Join> open_joined(Draft& d) {
  std::vector<Join> joins;
  for (const NamespaceType& type : kNamespaces) {
    const spec::LinuxNamespace* ns = find_namespace(d.spec, type.name);
    if (ns == nullptr || ns->path.empty()) continue;
    const Slot slot = d.b.slot();
    d.b.parent(cat("linux.namespaces[", index_of(*d.spec.linux, type.name), "].path"),
               OpenNamespace{d.b.str(ns->path), type.flag, slot});
    if (type.flag == CLONE_NEWCGROUP && !has_new_userns(d)) {
      d.cgroup_namespace = slot;
      continue;
    }
    const bool first = type.flag == CLONE_NEWUSER && !d.host.privileged;
    joins.insert(first ? joins.begin() : joins.end(), Join{slot, type.flag});
  }
  return joins;
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

static void add_id_maps(Draft& d) {
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
  const std::vector<Join> joins = open_joined(d);
  uint64_t flags = new_namespaces(d);

  check_privilege(d, flags);
  Clone clone{};
  if (!linux.timeOffsets.empty() && (flags & CLONE_NEWTIME) != 0) {
    if (!d.host.privileged && (flags & CLONE_NEWUSER) != 0) clone.flags |= kCloneUserFirst;
    clone.time_offsets = d.b.str(time_offsets_text(linux));
    flags &= ~uint64_t{CLONE_NEWTIME};  // the launcher makes it and writes the offsets
  }
  clone.namespaces = flags;
  clone.join = d.b.list(joins);
  if (!d.request.cgroup_path.empty()) clone.flags |= kCloneIntoCgroup;
  if ((flags & CLONE_NEWUSER) != 0) clone.flags |= kCloneAwaitMaps;
  if (d.new_userns) clone.flags |= kCloneInUserns;
  if (d.spec.process) {
    clone.uid = d.spec.process->user.uid;
    clone.gid = d.spec.process->user.gid;
  }
  d.b.parent("linux.namespaces", clone);
  if ((flags & CLONE_NEWUSER) != 0) add_id_maps(d);
}

// Moved while the init mounts. Before hooks, which may configure them, and before sysctls of theirs
// (process.cc); whoever comes later meets the parent anyhow.
void add_net_devices(Draft& d) {
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
  d.b.init("", SetSession{});
  if (!d.request.no_new_keyring) {
    if (d.spec.process) add_keyring_label(d, *d.spec.process);
    d.b.init("", Keyring{d.b.str(cat("_ses.", d.request.id))}, OnError::kWarn);
  }
  const spec::LinuxNamespace* cgroup = find_namespace(d.spec, "cgroup");
  if (cgroup != nullptr && (cgroup->path.empty() || d.cgroup_namespace != kNoSlot))
    d.b.init(cat("linux.namespaces[", index_of(*d.spec.linux, "cgroup"), "]"),
             CgroupNamespace{d.cgroup_namespace});
  const spec::LinuxNamespace* net = find_namespace(d.spec, "network");
  if (net != nullptr && net->path.empty()) d.b.init("", LoopbackUp{});
}

}  // namespace coracle::plan
