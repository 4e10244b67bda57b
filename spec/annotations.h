// The annotations of config.json by which runc and crun are told things, and what is done with
// them here. coracle-annotations(7) explains each; tests/lint/manual.py holds the page to this
// table. Whatever is not in it means nothing to a runtime and is left alone (config.md,
// "Annotations").
#pragma once

#include <string_view>

#include "spec/spec.h"

namespace coracle::spec {

enum class Treatment {
  kDone,     // the container is made accordingly
  kRefused,  // an error: it cannot be done here, and a container without it would be another one
  kIgnored,  // nothing depends on it
};

struct Annotation {
  std::string_view key;  // with a "." at the end: every key that begins so
  Treatment treatment;
};

inline constexpr std::string_view kCriuConfig = "org.criu.config";
inline constexpr std::string_view kUnitProperty = "org.systemd.property.";
inline constexpr std::string_view kDelegateCgroup = "run.oci.delegate-cgroup";
inline constexpr std::string_view kHandler = "run.oci.handler";
inline constexpr std::string_view kHooksStderr = "run.oci.hooks.stderr";
inline constexpr std::string_view kHooksStdout = "run.oci.hooks.stdout";
inline constexpr std::string_view kKeepGroups = "run.oci.keep_original_groups";
inline constexpr std::string_view kMountContextType = "run.oci.mount_context_type";
inline constexpr std::string_view kPidfdReceiver = "run.oci.pidfd_receiver";
inline constexpr std::string_view kSeccompPlugins = "run.oci.seccomp.plugins";
inline constexpr std::string_view kSeccompReceiver = "run.oci.seccomp.receiver";
inline constexpr std::string_view kSeccompData = "run.oci.seccomp_bpf_data";
inline constexpr std::string_view kSeccompStrict = "run.oci.seccomp_fail_unknown_syscall";
inline constexpr std::string_view kForceCgroupV1 = "run.oci.systemd.force_cgroup_v1";
inline constexpr std::string_view kWasmVariant = "module.wasm.image/variant";
inline constexpr std::string_view kCriContainerType = "io.kubernetes.cri.container-type";

inline constexpr Annotation kAnnotations[] = {
    {"bundle", Treatment::kIgnored},
    {kCriContainerType, Treatment::kIgnored},
    {"krun.", Treatment::kIgnored},
    {kWasmVariant, Treatment::kRefused},
    {kCriuConfig, Treatment::kDone},
    {kUnitProperty, Treatment::kDone},
    {kDelegateCgroup, Treatment::kDone},
    {kHandler, Treatment::kRefused},
    {kHooksStderr, Treatment::kDone},
    {kHooksStdout, Treatment::kDone},
    {kKeepGroups, Treatment::kDone},
    {kMountContextType, Treatment::kDone},
    {kPidfdReceiver, Treatment::kDone},
    {kSeccompPlugins, Treatment::kRefused},
    {kSeccompReceiver, Treatment::kDone},
    {kSeccompData, Treatment::kDone},
    {kSeccompStrict, Treatment::kDone},
    {kForceCgroupV1, Treatment::kRefused},
    {"run.oci.systemd.subgroup", Treatment::kIgnored},
};

// The keys of those that are done: who may set them can reach beyond the container (features.md,
// "Unsafe annotations in config.json").
Strings done_annotations();

// Set, and not to "0".
bool is_set(const Spec& spec, std::string_view key);

// Refuses those that are to be refused, and values that cannot be meant. JSON paths start with
// "annotations".
void validate_known_annotations(const Spec& spec);

}  // namespace coracle::spec
