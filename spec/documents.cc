#include "spec/documents.h"

#include "spec/ids.h"
#include "spec/names.h"

namespace coracle::spec {
namespace {

void add_if(JsonWriter& json, std::string_view key, std::string_view text) {
  if (!text.empty()) json.add(key, text);
}

void write_exit(JsonWriter& json, const StateExit& exit) {
  json.key("exit").begin_object().add("code", exit.code);
  if (exit.signal != 0) json.add("signal", exit.signal);
  if (exit.oom_killed) json.add("oomKilled", *exit.oom_killed);
  json.add("time", exit.time).end_object();
}

void write_state(JsonWriter& json, const State& state) {
  json.begin_object();
  json.add("ociVersion", kSpecVersion);
  json.add("id", state.id);
  json.add("pid", state.pid);
  json.add("status", state.status);
  json.add("bundle", state.bundle);
  add_if(json, "rootfs", state.rootfs);
  add_if(json, "created", state.created);
  if (!state.annotations.empty()) json.key("annotations").object(state.annotations);
  add_if(json, "owner", state.owner);
  add_if(json, "systemd-scope", state.systemd_unit);
  if (state.exit != nullptr) write_exit(json, *state.exit);
  json.end_object();
}

template <size_t kSize>
JsonWriter& names(JsonWriter& json, std::string_view key, const NamedValue (&table)[kSize]) {
  json.key(key).begin_array();
  for (const NamedValue& entry : table) json.value(entry.name);
  return json.end_array();
}

template <size_t kSize>
JsonWriter& names(JsonWriter& json, std::string_view key, const std::string_view (&list)[kSize]) {
  return json.key(key).array(list);
}

// {"enabled": true}, as an object of its own.
void enabled(JsonWriter& json, std::string_view key, bool yes) {
  json.key(key).begin_object().add("enabled", yes).end_object();
}

void write_capabilities(JsonWriter& json) {
  json.key("capabilities").begin_array();
  for (int i = 0; i < kCapabilityCount; ++i) json.value(capability_name(i));
  json.end_array();
}

void write_cgroup(JsonWriter& json, const FeatureFacts& facts) {
  json.key("cgroup").begin_object();
  json.add("v1", false).add("v2", true);
  json.add("systemd", facts.systemd).add("systemdUser", facts.systemd_user);
  json.add("rdma", facts.rdma).end_object();
}

void write_seccomp(JsonWriter& json, const FeatureFacts& facts) {
  json.key("seccomp").begin_object().add("enabled", true);
  names(json, "actions", kSeccompActions);
  names(json, "operators", kSeccompOperators);
  if (facts.seccomp_architectures.empty()) {
    names(json, "archs", kSeccompArchitectures);
  } else {
    json.key("archs").array(facts.seccomp_architectures);
  }
  names(json, "knownFlags", kSeccompFlags);
  names(json, "supportedFlags", kSeccompFlags);
  json.end_object();
}

void write_linux(JsonWriter& json, const FeatureFacts& facts) {
  json.key("linux").begin_object();
  names(json, "namespaces", kNamespaceTypes);
  write_capabilities(json);
  write_cgroup(json, facts);
  write_seccomp(json, facts);
  enabled(json, "apparmor", facts.apparmor);
  enabled(json, "selinux", facts.selinux);
  json.key("intelRdt").begin_object().add("enabled", facts.intel_rdt);
  json.add("schemata", facts.intel_rdt).add("monitoring", facts.intel_rdt).end_object();
  if (facts.memory_policy) {
    json.key("memoryPolicy").begin_object();
    names(json, "modes", kMemoryPolicyModes);
    names(json, "flags", kMemoryPolicyFlags).end_object();
  }
  json.key("mountExtensions").begin_object();
  enabled(json, "idmap", facts.idmap);
  json.end_object();
  enabled(json, "netDevices", facts.net_devices);
  json.end_object();
}

// The runc key is what engines look for before they offer checkpoints.
void write_annotations(JsonWriter& json, const FeatureFacts& facts) {
  json.key("annotations").begin_object();
  add_if(json, "io.github.seccomp.libseccomp.version", facts.libseccomp_version);
  add_if(json, "io.coracle.commit", facts.commit);
  add_if(json, "io.coracle.version", facts.version);
  json.add("org.opencontainers.runc.checkpoint.enabled", facts.checkpoint ? "true" : "false");
  json.end_object();
}

void write_host(JsonWriter& json, const HostFacts& host) {
  json.key("host").begin_object().add("kernel", host.kernel);
  json.key("controllers").array(host.controllers);
  json.key("lacks").begin_array();
  for (const auto& [feature, reason] : host.lacks)
    json.begin_object().add("feature", feature).add("reason", reason).end_object();
  json.end_array().end_object();
}

}  // namespace

std::string state_json(const State& state, JsonStyle style) {
  JsonWriter json(style);
  write_state(json, state);
  return json.take();
}

std::string list_json(const std::vector<State>& states) {
  JsonWriter json(JsonStyle::kCompact);
  json.begin_array();
  for (const State& state : states) write_state(json, state);
  return json.end_array().take();
}

std::string process_state_json(const State& state, int pid, const Strings& fds,
                               std::string_view metadata) {
  JsonWriter json(JsonStyle::kCompact);
  json.begin_object().add("ociVersion", kSpecVersion);
  json.key("fds").array(fds).add("pid", pid);
  add_if(json, "metadata", metadata);
  json.key("state");
  write_state(json, state);
  return json.end_object().take();
}

std::string features_json(const FeatureFacts& facts) {
  JsonWriter json(JsonStyle::kSpaces);
  json.begin_object();
  json.add("ociVersionMin", "1.0.0").add("ociVersionMax", kSpecVersion);
  names(json, "hooks", kHookNames);
  if (facts.mount_options.empty()) {
    names(json, "mountOptions", kMountOptions);
  } else {
    json.key("mountOptions").array(facts.mount_options);
  }
  write_linux(json, facts);
  write_annotations(json, facts);
  json.key("potentiallyUnsafeConfigAnnotations").array(facts.unsafe_annotations);
  if (facts.host != nullptr) write_host(json, *facts.host);
  return json.end_object().take();
}

}  // namespace coracle::spec
