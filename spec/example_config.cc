// The example configurations of spec/documents.h: what peers write, so that guides and scripts
// made for them work.

#include "spec/documents.h"

namespace coracle::spec {
namespace {

struct Caller {
  bool rootless = false;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

struct ExampleMount {
  std::string_view destination, type, source;
  Strings options;
};

void write_process(JsonWriter& json) {
  const Strings kept = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
  json.key("process").begin_object().add("terminal", true);
  json.key("user").begin_object().add("uid", 0).add("gid", 0).end_object();
  json.key("args").array(Strings{"sh"});
  json.key("env").array(
      Strings{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"});
  json.add("cwd", "/");
  json.key("capabilities").begin_object();
  for (std::string_view set : {"bounding", "effective", "permitted"}) json.key(set).array(kept);
  json.end_object();
  json.key("rlimits").begin_array().begin_object();
  json.add("type", "RLIMIT_NOFILE").add("hard", 1024).add("soft", 1024);
  json.end_object().end_array();
  json.add("noNewPrivileges", true).end_object();
}

// In a user namespace sysfs can be mounted only with a network namespace of its own; and the gid
// of the terminals' group is not mapped.
std::vector<ExampleMount> example_mounts(bool rootless) {
  std::vector<ExampleMount> mounts = {
      {"/proc", "proc", "proc", {}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"/dev/pts",
       "devpts",
       "devpts",
       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
      {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
  };
  if (rootless) {
    mounts.push_back({"/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro"}});
  } else {
    mounts[2].options.push_back("gid=5");
    mounts.push_back({"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}});
  }
  mounts.push_back(
      {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}});
  return mounts;
}

void write_mounts(JsonWriter& json, bool rootless) {
  json.key("mounts").begin_array();
  for (const ExampleMount& mount : example_mounts(rootless)) {
    json.begin_object().add("destination", mount.destination);
    json.add("type", mount.type).add("source", mount.source);
    if (!mount.options.empty()) json.key("options").array(mount.options);
    json.end_object();
  }
  json.end_array();
}

void write_mapping(JsonWriter& json, std::string_view key, uint32_t host_id) {
  json.key(key).begin_array().begin_object();
  json.add("containerID", 0).add("hostID", host_id).add("size", 1);
  json.end_object().end_array();
}

void write_namespaces(JsonWriter& json, bool rootless) {
  const Strings own = {"pid", "network", "ipc", "uts", "mount", "cgroup"};
  const Strings unprivileged = {"pid", "ipc", "uts", "mount", "cgroup", "user"};
  json.key("namespaces").begin_array();
  for (std::string_view type : rootless ? unprivileged : own) {
    json.begin_object().add("type", type).end_object();
  }
  json.end_array();
}

void write_linux(JsonWriter& json, const Caller& caller) {
  json.key("linux").begin_object();
  if (caller.rootless) {
    write_mapping(json, "uidMappings", caller.uid);
    write_mapping(json, "gidMappings", caller.gid);
  } else {
    json.key("resources").begin_object().key("devices").begin_array().begin_object();
    json.add("allow", false).add("access", "rwm");
    json.end_object().end_array().end_object();
  }
  write_namespaces(json, caller.rootless);
  json.key("maskedPaths")
      .array(Strings{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                     "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                     "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
                     "/sys/devices/virtual/tpm"});
  json.key("readonlyPaths")
      .array(Strings{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"});
  json.end_object();
}

std::string example(const Caller& caller) {
  JsonWriter json(JsonStyle::kTabs);
  json.begin_object().add("ociVersion", kSpecVersion);
  write_process(json);
  json.key("root").begin_object().add("path", "rootfs").add("readonly", true).end_object();
  json.add("hostname", "coracle");
  write_mounts(json, caller.rootless);
  write_linux(json, caller);
  return json.end_object().take();
}

}  // namespace

std::string example_config() { return example({}); }

std::string example_config_rootless(uint32_t uid, uint32_t gid) {
  return example({true, uid, gid});
}

}  // namespace coracle::spec
