// Namespaces, the id mappings of a user namespace, and the kernel parameters of namespaces.

#include "spec/ids.h"
#include "spec/validate_internal.h"

namespace coracle::spec {
namespace {

// user_namespaces(7): at most 340 lines since Linux 4.15, none empty, none beyond the ids, and no
// overlap on either side.
constexpr size_t kMaxMappings = 340;

bool overlaps(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size) {
  return uint64_t{a} < uint64_t{b} + b_size && uint64_t{b} < uint64_t{a} + a_size;
}

void validate_mapping(const LinuxIDMapping& entry, const Where& where) {
  if (entry.size == 0) fail(where / "size", "must be at least 1");
  uint64_t last = UINT32_MAX - 1;  // 2^32-1 is not an id
  if (uint64_t{entry.containerID} + entry.size - 1 > last) {
    fail(where / "containerID", "the range goes beyond the last id");
  }
  if (uint64_t{entry.hostID} + entry.size - 1 > last) {
    fail(where / "hostID", "the range goes beyond the last id");
  }
}

void validate_process_ids(const Spec& spec) {
  const User& user = spec.process->user;
  auto check = [](const std::vector<LinuxIDMapping>& map, uint32_t id, const Where& where) {
    if (!map.empty() && !is_mapped(map, id)) {  // none: see complete_id_maps()
      fail(where, cat("id ", id, " is not mapped in the user namespace"));
    }
  };
  check(spec.linux->uidMappings, user.uid, "process.user.uid");
  check(spec.linux->gidMappings, user.gid, "process.user.gid");
  for (size_t i = 0; i < user.additionalGids.size(); ++i) {
    check(spec.linux->gidMappings, user.additionalGids[i], Where("process.user.additionalGids")[i]);
  }
}

// The parameters of the kernel's ipc/ipc_sysctl.c, which each IPC namespace has its own of.
constexpr std::string_view kIpcParameters[] = {
    "kernel/auto_msgmni",     "kernel/msg_next_id", "kernel/msgmax",      "kernel/msgmnb",
    "kernel/msgmni",          "kernel/sem",         "kernel/sem_next_id", "kernel/shm_next_id",
    "kernel/shm_rmid_forced", "kernel/shmall",      "kernel/shmmax",      "kernel/shmmni",
};

// The namespace type that isolates a kernel parameter, "" if none does.
std::string_view namespace_of_parameter(std::string_view path) {
  if (path.starts_with("net/")) return "network";
  if (path.starts_with("fs/mqueue/") || contains(kIpcParameters, path)) return "ipc";
  if (path.starts_with("user/")) return "user";
  if (path == "kernel/domainname") return "uts";
  return "";
}

}  // namespace

// "If a namespaces field contains duplicated namespaces with same type, the runtime MUST generate
// an error"; path "MUST be an absolute path in the runtime mount namespace".
void validate_namespaces(const Linux& section) {
  uint64_t seen = 0;
  Where list = "linux.namespaces";
  for (size_t i = 0; i < section.namespaces.size(); ++i) {
    const LinuxNamespace& entry = section.namespaces[i];
    Where where = list[i];
    auto flag = value_of(kNamespaceTypes, entry.type);
    if (!flag) fail(where / "type", cat("unknown namespace type ", quoted(entry.type)));
    if (seen & *flag) fail(where / "type", cat(quoted(entry.type), " is given twice"));
    seen |= *flag;
    if (!entry.path.empty() && !is_absolute(entry.path)) {
      fail(where / "path", "must be an absolute path");
    }
  }
}

void validate_mappings(const std::vector<LinuxIDMapping>& mappings, const Where& where) {
  if (mappings.size() > kMaxMappings) fail(where, "more than 340 mappings");
  for (size_t i = 0; i < mappings.size(); ++i) {
    const LinuxIDMapping& entry = mappings[i];
    validate_mapping(entry, where[i]);
    for (size_t j = 0; j < i; ++j) {
      const LinuxIDMapping& other = mappings[j];
      if (overlaps(entry.containerID, entry.size, other.containerID, other.size) ||
          overlaps(entry.hostID, entry.size, other.hostID, other.size)) {
        fail(where[i], cat("overlaps with mapping ", j));
      }
    }
  }
}

void validate_id_maps(const Spec& spec) {
  const Linux& section = *spec.linux;
  validate_mappings(section.uidMappings, "linux.uidMappings");
  validate_mappings(section.gidMappings, "linux.gidMappings");
  const LinuxNamespace* user = find_namespace(spec, "user");
  if (!user) {
    if (!section.uidMappings.empty()) {
      fail("linux.uidMappings", "needs a user namespace in linux.namespaces");
    }
    if (!section.gidMappings.empty()) {
      fail("linux.gidMappings", "needs a user namespace in linux.namespaces");
    }
    return;
  }
  // An existing namespace has its mappings; whether given ones equal them, only the host knows.
  if (!user->path.empty()) return;
  if (spec.process) validate_process_ids(spec);
}

std::string complete_id_maps(Spec& spec, uint32_t uid, uint32_t gid) {
  const LinuxNamespace* user = find_namespace(spec, "user");
  if (!user || !user->path.empty()) return "";
  std::string told;
  auto complete = [&told](std::vector<LinuxIDMapping>& map, std::string_view name, uint32_t own) {
    if (!map.empty()) return;
    map.push_back({0, own, 1});
    append(told, told.empty() ? "" : ", ", "linux.", name, ": not set: 0 ", own, " 1");
  };
  complete(spec.linux->uidMappings, "uidMappings", uid);
  complete(spec.linux->gidMappings, "gidMappings", gid);
  return told;
}

// A parameter that no namespace of the container isolates would be changed on the host.
void validate_sysctl(const Spec& spec) {
  Where section = "linux.sysctl";
  for (const auto& [key, value] : spec.linux->sysctl) {
    Where where = section / key;
    auto path = sysctl_path(key);
    if (!path) fail(where, "not a name of a kernel parameter");
    if (*path == "kernel/hostname") fail(where, "use the property hostname");
    if (*path == "kernel/domainname" && !spec.domainname.empty() && value != spec.domainname) {
      fail(where, cat(quoted(value), ", but the property domainname is ", quoted(spec.domainname)));
    }
    std::string_view type = namespace_of_parameter(*path);
    if (type.empty()) fail(where, "not isolated by a namespace: it would change the host");
    if (!find_namespace(spec, type)) {
      fail(where, cat("needs a ", type, " namespace in linux.namespaces"));
    }
  }
}

}  // namespace coracle::spec
