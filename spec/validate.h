#pragma once
// Does a parsed configuration make sense? Everything runtime-spec 1.3 says about values and about
// how they go together is checked here, as far as no knowledge of the host is needed, and so are
// the kernel's own fixed limits: what would fail for certain after the clone fails here, with its
// JSON path. config.md, "Valid values": "Runtimes MUST generate an error when invalid or
// unsupported values are encountered."
//
// Errors are thrown (the first one found); what the specification wants logged but not refused
// (unknown capabilities, deprecated forms) is collected as warnings, each a full sentence with its
// JSON path.
//
// Not here, because it depends on the host: whether files, users, devices, LSMs, cgroup
// controllers and namespaces exist; whether a joined user namespace has the mappings given.

#include <string>
#include <vector>

#include "spec/json.h"
#include "spec/spec.h"

namespace coracle::spec {

using Warnings = std::vector<std::string>;

// The whole configuration. `process` may be absent (then only `start` must refuse).
void validate(const Spec& spec, Warnings& warnings);

// The same, and errors say file:line:column too.
void validate(const Document& document, Warnings& warnings);

// Mappings are optional (config-linux.md, "User namespace mappings"), but without one nothing could
// be done in a new user namespace, not even become its root: maps `uid` and `gid`, the caller's, to
// 0 where the bundle maps none. What was added, for the log, or "".
std::string complete_id_maps(Spec& spec, uint32_t uid, uint32_t gid);

// One process, for exec as well. JSON paths start with "process".
void validate_process(const Process& process, Warnings& warnings);

// Limits; JSON paths start with "linux.resources". A `partial` set of limits (update) is merged
// with the present ones later, so rules that compare two limits with each other are not applied.
// Errors on what cgroup v2 cannot express (config-linux.md, "Unified": "If the conversion is not
// possible the runtime MUST generate an error").
void validate_resources(const LinuxResources& resources, bool partial, Warnings& warnings);

// Cache and bandwidth; JSON paths start with "linux.intelRdt".
void validate_intel_rdt(const LinuxIntelRdt& rdt, Warnings& warnings);

// The mounts of a container with (`user_namespace`) or without a user namespace. JSON paths start
// with "mounts".
void validate_mounts(const std::vector<Mount>& mounts, bool user_namespace, Warnings& warnings);

}  // namespace coracle::spec
