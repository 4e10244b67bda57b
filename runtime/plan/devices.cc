// /dev: the devices every container has (config-linux.md "Default Devices"), those that the bundle
// lists, and the links that programs expect.
#include <sys/stat.h>

#include "runtime/plan/mounts.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

struct DefaultDevice {
  const char* path;
  uint32_t major;
  uint32_t minor;
};
// console comes with the terminal, ptmx as a link into the container's devpts.
static constexpr DefaultDevice kDefaultDevices[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};
static constexpr uint32_t kDefaultMode = 0666;
static constexpr char kPtmx[] = "/dev/ptmx";

// A /dev that is bound from the host has all it needs, and is not ours to fill.
static bool dev_is_bound(const Draft& d) {
  bool bound = false;
  for (const PlannedMount& m : d.mounts) {
    if (m.target == "/dev" && m.options.bind) bound = true;
    if (m.new_root) bound = false;  // hidden with the root before
  }
  return bound;
}

static bool is_configured(const Draft& d, std::string_view path) {
  for (const spec::LinuxDevice& device : d.spec.linux->devices)
    if (clean_path(device.path) == path) return true;
  return false;
}

static uint32_t type_bits(const spec::LinuxDevice& device, const std::string& origin) {
  if (device.type == "c" || device.type == "u") return S_IFCHR;
  if (device.type == "b") return S_IFBLK;
  if (device.type == "p") return S_IFIFO;
  throw Error::at(cat(origin, ".type"), cat("not a type of device: ", spec::quoted(device.type)));
}

// "a" number of the kernel's 12 bits for major and 20 for minor (struct stat, mknod(2)).
static uint32_t device_part(std::optional<int64_t> part, int64_t limit, const std::string& origin) {
  if (!part || *part < 0 || *part >= limit) throw Error::at(origin, "not a device number");
  return static_cast<uint32_t>(*part);
}

static MakeNode default_node(Draft& d, const DefaultDevice& device) {
  MakeNode node{};
  node.path = d.b.str(device.path);
  node.mode = S_IFCHR | kDefaultMode;
  node.major = device.major;
  node.minor = device.minor;
  node.tree = kNoSlot;
  return node;
}

static MakeNode configured_node(Draft& d, const spec::LinuxDevice& device, std::string_view path,
                                const std::string& origin) {
  MakeNode node{};
  node.path = d.b.str(path);
  const uint32_t type = type_bits(device, origin);
  // Engines send st_mode as they found it, type and all.
  node.mode = type | (device.fileMode.value_or(kDefaultMode) & 07777);
  if (type != S_IFIFO) {
    node.major = device_part(device.major, 1 << 12, cat(origin, ".major"));
    node.minor = device_part(device.minor, 1 << 20, cat(origin, ".minor"));
  }
  node.uid = device.uid.value_or(0);
  node.gid = device.gid.value_or(0);
  node.tree = kNoSlot;
  node.asked =
      (device.fileMode ? kNodeMode : 0) | (device.uid ? kNodeUid : 0) | (device.gid ? kNodeGid : 0);
  return node;
}

void read_devices(Draft& d) {
  d.devices.clear();
  if (dev_is_bound(d)) return;
  for (const DefaultDevice& device : kDefaultDevices)
    if (!is_configured(d, device.path)) d.devices.push_back({"", default_node(d, device)});
  for (size_t i = 0; i < d.spec.linux->devices.size(); ++i) {
    const spec::LinuxDevice& device = d.spec.linux->devices[i];
    const std::string origin = cat("linux.devices[", i, "]");
    const std::string path = clean_path(device.path);
    if (path == "/") throw Error::at(cat(origin, ".path"), "not a path of a device");
    const MakeNode node = configured_node(d, device, path, origin);
    if (path != kPtmx)  // there the link comes, and a node may be a bind
      d.devices.push_back({origin, node});
  }
}

// ---- nodes for a user namespace
// ------------------------------------------------------------------

// The host's number of an id that a device is to have; kNoId if the device may stay without.
static uint32_t host_id(Draft& d, const PlannedDevice& device, bool user) {
  const auto& mappings = user ? d.spec.linux->uidMappings : d.spec.linux->gidMappings;
  const uint32_t id = user ? device.node.uid : device.node.gid;
  if (const uint32_t there = mapped_id(mappings, id); there != kNoId) return there;
  if ((device.node.asked & (user ? kNodeUid : kNodeGid)) == 0) return kNoId;
  const std::string where = cat(device.origin, user ? ".uid" : ".gid");
  const std::string_view maps = user ? "linux.uidMappings" : "linux.gidMappings";
  if (!mappings.empty()) throw Error::at(where, cat(id, " is not mapped by ", maps));
  d.warnings.push_back(cat(where, ": ignored: the container joins a user namespace, and ", maps,
                           " does not repeat its mappings"));
  return kNoId;
}

static bool is_device(const MakeNode& node) { return !S_ISFIFO(node.mode); }

// With the owners that the container is to see, without a change to any node of the host's.
void add_host_nodes(Draft& d) {
  if (!d.new_userns || !d.host.initial_userns || !d.parent_mounts) return;
  std::vector<HostNode> nodes;
  for (PlannedDevice& device : d.devices) {
    if (!is_device(device.node)) continue;
    const MakeNode& node = device.node;
    nodes.push_back(
        {node.mode, node.major, node.minor, host_id(d, device, true), host_id(d, device, false)});
    device.node.tree = d.b.slot();
  }
  if (nodes.empty()) return;
  const bool labelled = d.host.selinux && !d.spec.linux->mountLabel.empty();
  d.host_nodes = d.b.slot();
  d.b.parent("linux.devices", HostNodes{d.b.list(nodes), d.host_nodes,
                                        labelled ? d.b.str(d.spec.linux->mountLabel) : Ref{0}});
}

static void clone_host_nodes(Draft& d) {
  if (d.host_nodes == kNoSlot) return;
  std::vector<Slot> trees;
  for (const PlannedDevice& device : d.devices)
    if (is_device(device.node)) trees.push_back(device.node.tree);
  d.b.init("linux.devices", CloneNodes{d.host_nodes, d.b.list(trees)});
}

// ---- /dev
// ----------------------------------------------------------------------------------------

std::vector<std::string> device_paths(const spec::Spec& spec) {
  std::vector<std::string> paths;
  for (const DefaultDevice& device : kDefaultDevices) paths.emplace_back(device.path);
  if (!spec.linux) return paths;
  for (const spec::LinuxDevice& device : spec.linux->devices)
    paths.push_back(clean_path(device.path));
  return paths;
}

static void add_link(Draft& d, std::string_view path, std::string_view points_to, bool replace) {
  d.b.init({}, MakeSymlink{d.b.str(path), d.b.str(points_to), replace});
}

static void add_nodes(Draft& d, bool configured) {
  for (const PlannedDevice& device : d.devices)
    if (device.origin.empty() != configured) d.b.init(device.origin, device.node);
}

void add_devices(Draft& d) {
  if (dev_is_bound(d)) return;
  clone_host_nodes(d);
  add_nodes(d, false);
  // The links next: they lie in the same directory, which the init then finds only once.
  add_link(d, "/dev/fd", "/proc/self/fd", false);
  add_link(d, "/dev/stdin", "/proc/self/fd/0", false);
  add_link(d, "/dev/stdout", "/proc/self/fd/1", false);
  add_link(d, "/dev/stderr", "/proc/self/fd/2", false);
  add_link(d, "/dev/core", "/proc/kcore", false);
  add_nodes(d, true);
  // Last, and in place of whatever is there: an image's own ptmx node would be the host's.
  add_link(d, kPtmx, "pts/ptmx", true);
}

}  // namespace coracle::plan
