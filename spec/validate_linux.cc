// `linux` but for resources and seccomp: paths, names, time, and what belongs together
// (config-linux.md).

#include <set>

#include "spec/ids.h"
#include "spec/validate_internal.h"

namespace coracle::spec {
namespace {

// "The values MUST be absolute paths in the container namespace." Both masking and making
// read-only are done by mounts, which without a mount namespace would be the host's.
void validate_paths(const Spec& spec, const Strings& paths, const Where& where) {
  for (size_t i = 0; i < paths.size(); ++i) {
    if (!is_absolute(paths[i])) fail(where[i], "must be an absolute path");
  }
  if (!paths.empty() && !find_namespace(spec, "mount")) {
    fail(where, "needs a mount namespace in linux.namespaces");
  }
}

// time_namespaces(7): offsets can be set only on a new time namespace, for two clocks, and
// nanoseconds are below one second.
void validate_time_offsets(const Spec& spec) {
  const auto& offsets = spec.linux->timeOffsets;
  Where where = "linux.timeOffsets";
  for (const auto& [clock, offset] : offsets) {
    Where entry = where / clock;
    if (!contains(kTimeOffsetClocks, clock)) fail(entry, "unknown clock");
    if (offset.nanosecs > 999'999'999) fail(entry / "nanosecs", "above 999999999");
  }
  if (offsets.empty()) return;
  const LinuxNamespace* time = find_namespace(spec, "time");
  if (!time) fail(where, "needs a time namespace in linux.namespaces");
  if (!time->path.empty()) {
    fail(where, "cannot be set on an existing time namespace (its path is given)");
  }
}

// A template has "%d" at its end, where the kernel puts a number; it is not part of the 15 bytes
// that a name may have, but one digit will be.
bool is_device_template(std::string_view name) {
  return name.ends_with("%d") && name.find('%') == name.size() - 2 &&
         is_interface_name(name.substr(0, name.size() - 1));
}

// "The name of the network device is the entry key"; "the runtime MUST generate an error" if a
// device of that name exists in the container, which two equal names make certain.
void validate_net_devices(const Spec& spec) {
  const auto& devices = spec.linux->netDevices;
  Where where = "linux.netDevices";
  std::set<std::string_view> names;
  for (const auto& [key, device] : devices) {
    Where entry = where / key;
    if (!is_interface_name(key)) fail(entry, "not a possible name of a network device");
    std::string_view name = device.name.empty() ? key : device.name;
    bool is_template = is_device_template(name);
    if (!is_template && (!is_interface_name(name) || name.find('%') != name.npos)) {
      fail(entry / "name", cat("not a possible name of a network device: ", quoted(name)));
    }
    if (!is_template && !names.insert(name).second) {
      fail(entry, cat("a second device with the name ", quoted(name), " in the container"));
    }
  }
  if (!devices.empty() && !find_namespace(spec, "network")) {
    fail(where, "needs a network namespace in linux.namespaces");
  }
}

// personality: "Currently no flag values are supported."
void validate_personality(const LinuxPersonality& personality) {
  check_name(kPersonalityDomains, personality.domain, "linux.personality.domain");
  if (!personality.flags.empty()) fail("linux.personality.flags", "no flags are supported");
}

// "Runtimes MAY consider certain cgroupsPath values to be invalid, and MUST generate an error."
void validate_cgroups_path(std::string_view path) {
  if (!path.empty() && !is_cgroup_path(path)) {
    fail("linux.cgroupsPath", "must not have .. components or control characters");
  }
}

}  // namespace

void validate_linux(const Spec& spec, Warnings& warnings) {
  const Linux& section = *spec.linux;
  validate_namespaces(section);
  validate_id_maps(spec);
  validate_time_offsets(spec);
  validate_devices(section, warnings);
  validate_net_devices(spec);
  validate_cgroups_path(section.cgroupsPath);
  if (section.resources) validate_resources(*section.resources, false, warnings);
  if (section.intelRdt) validate_intel_rdt(*section.intelRdt, warnings);
  if (section.memoryPolicy) validate_memory_policy(*section.memoryPolicy);
  validate_sysctl(spec);
  if (section.seccomp) validate_seccomp(*section.seccomp);
  if (!section.rootfsPropagation.empty()) {
    check_name(kPropagations, section.rootfsPropagation, "linux.rootfsPropagation");
  }
  validate_paths(spec, section.maskedPaths, "linux.maskedPaths");
  validate_paths(spec, section.readonlyPaths, "linux.readonlyPaths");
  if (section.personality) validate_personality(*section.personality);
}

}  // namespace coracle::spec
