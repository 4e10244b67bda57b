// Device nodes, Intel RDT and memory policy (config-linux.md).

#include <map>
#include <tuple>

#include "spec/ids.h"
#include "spec/validate_internal.h"

namespace coracle::spec {
namespace {

constexpr int64_t kMaxMajor = (1 << 12) - 1;  // the kernel's dev_t has 12 and 20 bits
constexpr int64_t kMaxMinor = (1 << 20) - 1;

void validate_number(const std::optional<int64_t>& number, int64_t max, const Where& where) {
  if (!number) fail(where, "required unless type is p");
  if (*number < 0 || *number > max) fail(where, cat("not from 0 to ", max));
}

void validate_device(const LinuxDevice& device, const Where& where, Warnings& warnings) {
  constexpr std::string_view kTypes[] = {"c", "b", "u", "p"};
  if (!contains(kTypes, device.type)) {
    fail(where / "type", cat("expected c, b, u or p, not ", quoted(device.type)));
  }
  // "full path to device inside container"
  if (!is_absolute(device.path)) fail(where / "path", "must be an absolute path");
  if (device.type != "p") {  // "REQUIRED unless type is p"
    validate_number(device.major, kMaxMajor, where / "major");
    validate_number(device.minor, kMaxMinor, where / "minor");
  }
  // Some callers put the type of file in; the bits above the permissions have no effect.
  if (device.fileMode && *device.fileMode > 07777) {
    warn(warnings, where / "fileMode", "bits above 4095 (octal 7777) are ignored");
  }
}

bool has_newline(std::string_view text) { return text.find('\n') != text.npos; }

bool is_group_name(std::string_view name) {
  if (name == "/") return true;  // "the container MUST be assigned to the default CLOS"
  return name != "." && name != ".." && name.find_first_of("/\n") == name.npos;
}

}  // namespace

// "The same type, major and minor SHOULD NOT be used for multiple devices."
void validate_devices(const Linux& section, Warnings& warnings) {
  const auto& devices = section.devices;
  Where list = "linux.devices";
  std::map<std::tuple<std::string_view, int64_t, int64_t>, size_t> seen;
  for (size_t i = 0; i < devices.size(); ++i) {
    const LinuxDevice& device = devices[i];
    Where where = list[i];
    validate_device(device, where, warnings);
    if (device.type == "p") continue;
    const auto [first, is_new] = seen.try_emplace({device.type, *device.major, *device.minor}, i);
    if (!is_new)
      warn(warnings, where, cat("the same device as linux.devices[", first->second, "]"));
  }
}

void validate_intel_rdt(const LinuxIntelRdt& rdt, Warnings& warnings) {
  if (!is_group_name(rdt.closID)) fail("linux.intelRdt.closID", "not the name of a group");
  // "The value SHOULD start with L3: and SHOULD NOT contain newlines."
  if (has_newline(rdt.l3CacheSchema)) fail("linux.intelRdt.l3CacheSchema", "contains a newline");
  if (!rdt.l3CacheSchema.empty() && !rdt.l3CacheSchema.starts_with("L3:")) {
    warn(warnings, "linux.intelRdt.l3CacheSchema", "should start with L3:");
  }
  // "The value MUST start with MB: and MUST NOT contain newlines."
  if (!rdt.memBwSchema.empty() &&
      (!rdt.memBwSchema.starts_with("MB:") || has_newline(rdt.memBwSchema))) {
    fail("linux.intelRdt.memBwSchema", "must start with MB: and have no newline");
  }
  // "Each element represents one line"; "The value MUST NOT contain newlines."
  for (size_t i = 0; i < rdt.schemata.size(); ++i) {
    if (has_newline(rdt.schemata[i])) {
      fail(Where("linux.intelRdt.schemata")[i], "contains a newline");
    }
  }
}

namespace {

// In runc's words.
void check_policy_names(const LinuxMemoryPolicy& policy) {
  const char* mode = "linux.memoryPolicy.mode";
  if (policy.mode.empty()) fail(mode, "invalid memory policy mode: it is required");
  if (!is_listed(kMemoryPolicyModes, policy.mode)) {
    fail(mode, cat("invalid memory policy mode: unknown value ", quoted(policy.mode)));
  }
  for (size_t i = 0; i < policy.flags.size(); ++i) {
    if (is_listed(kMemoryPolicyFlags, policy.flags[i])) continue;
    fail(Where("linux.memoryPolicy.flags")[i],
         cat("invalid memory policy flag: unknown value ", quoted(policy.flags[i])));
  }
}

uint64_t count(const NumberRanges& ranges) {
  uint64_t sum = 0;
  for (const auto& [first, last] : ranges) sum += last - first + 1;
  return sum;
}

}  // namespace

// set_mempolicy(2), and "Some modes require that there are no nodes, e.g. MPOL_DEFAULT and
// MPOL_LOCAL. Others that there is at least one node, e.g. MPOL_BIND and MPOL_INTERLEAVE."
void validate_memory_policy(const LinuxMemoryPolicy& policy) {
  check_policy_names(policy);
  std::optional<NumberRanges> nodes;
  if (!policy.nodes.empty()) {
    nodes = parse_number_list(policy.nodes);
    if (!nodes) {
      fail("linux.memoryPolicy.nodes",
           cat("invalid memory policy node list ", quoted(policy.nodes)));
    }
  }
  bool without_nodes = policy.mode == "MPOL_DEFAULT" || policy.mode == "MPOL_LOCAL";
  bool optional_nodes = policy.mode == "MPOL_PREFERRED";
  if (without_nodes && nodes) {
    fail("linux.memoryPolicy.nodes",
         cat(policy.mode, " mode requires 0 nodes but got ", count(*nodes)));
  }
  if (!without_nodes && !optional_nodes && !nodes) {
    fail("linux.memoryPolicy.nodes", cat("required with ", policy.mode));
  }
  uint64_t flags = 0;
  for (std::string_view flag : policy.flags) flags |= *value_of(kMemoryPolicyFlags, flag);
  constexpr uint64_t kNuma = 1 << 13, kRelative = 1 << 14, kStatic = 1 << 15;
  if ((flags & kRelative) && (flags & kStatic)) {
    fail("linux.memoryPolicy.flags", "relative and static nodes exclude each other");
  }
  bool can_balance = policy.mode == "MPOL_BIND" || policy.mode == "MPOL_PREFERRED_MANY";
  if ((flags & kNuma) && !can_balance) {
    fail("linux.memoryPolicy.flags", "MPOL_F_NUMA_BALANCING needs MPOL_BIND");
  }
}

}  // namespace coracle::spec
