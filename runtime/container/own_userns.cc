#include "runtime/container/own_userns.h"

#include <stdlib.h>

#include <algorithm>
#include <vector>

#include "runtime/host/subids.h"
#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::container {

using spec::cat;

namespace {

// What cannot be read grants nothing.
std::string text_of(const char* path) {
  std::string text;
  return sys::read_file(sys::At::cwd(), path, text) == 0 ? text : "";
}

bool is_in_path(std::string_view name) {
  const char* path = getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    struct stat st;
    if (sys::stat_at(sys::At::cwd(), cat(folder, "/", name).c_str(), st) == 0) return true;
  }
  return false;
}

std::vector<spec::LinuxIDMapping> mapping(uint32_t own, const std::optional<host::IdRange>& more) {
  std::vector<spec::LinuxIDMapping> out{{0, own, 1}};
  if (more) out.push_back({1, more->first, more->size});
  return out;
}

std::string words(const std::optional<host::IdRange>& ids) {
  if (ids) return cat("the caller is its root, and ", ids->size, " more ids are from ", ids->first);
  return "the caller is its root, and no other id is mapped";
}

}  // namespace

static void map_caller(spec::Spec& spec, uint32_t uid) {
  const std::string added = spec::complete_id_maps(spec, uid, sys::effective_gid());
  if (!added.empty()) log::debug(added);
}

void complete_userns(spec::Spec& spec, spec::Warnings& warnings) {
  const uint32_t uid = sys::effective_uid();
  if (!spec.linux) return;
  spec::Linux& linux = *spec.linux;
  const spec::LinuxNamespace* user = spec::find_namespace(spec, "user");
  const bool mapped = !linux.uidMappings.empty() || !linux.gidMappings.empty();
  if (uid == 0 || mapped) return map_caller(spec, uid);
  if (user != nullptr && !user->path.empty()) return;
  std::optional<host::IdRange> uids;
  std::optional<host::IdRange> gids;
  if (is_in_path("newuidmap") && is_in_path("newgidmap")) {
    const std::string name = host::name_in(text_of("/etc/passwd"), uid);
    uids = host::granted_range(text_of("/etc/subuid"), name, uid);
    gids = host::granted_range(text_of("/etc/subgid"), name, uid);
    if (!uids || !gids) uids = gids = std::nullopt;  // one without the other is of no use
  }
  linux.uidMappings = mapping(uid, uids);
  linux.gidMappings = mapping(sys::effective_gid(), gids);
  warnings.push_back(cat(user == nullptr
                             ? "linux.namespaces: an ordinary user needs a user namespace; added: "
                             : "linux.uidMappings: not set; for an ordinary user: ",
                         words(uids)));
  if (user == nullptr) linux.namespaces.push_back({"user", ""});
}

}  // namespace coracle::container
