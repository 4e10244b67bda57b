// Who the process is: capabilities, groups, user.
#include "runtime/plan/mounts.h"
#include "runtime/plan/process.h"
#include "spec/annotations.h"
#include "spec/capabilities.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

// Without `process.capabilities` the process has none: nothing is granted that was not asked for.
static spec::CapabilitySets capability_sets(const spec::Process& process) {
  if (!process.capabilities) return {};
  Warnings told;  // by validate_process() already
  return spec::resolve_capabilities(*process.capabilities, true, told);
}

uint32_t mapped_id(const std::vector<spec::LinuxIDMapping>& mappings, uint32_t id) {
  for (const spec::LinuxIDMapping& m : mappings)
    if (id >= m.containerID && id - m.containerID < m.size) return m.hostID + (id - m.containerID);
  return kNoId;
}

bool is_mapped(const std::vector<spec::LinuxIDMapping>& mappings, uint32_t id) {
  return mapped_id(mappings, id) != kNoId;  // validated: no range holds it
}

// The kernel would only say EINVAL. Mappings of a joined namespace are its maker's, and the bundle
// need not repeat them.
static void check_mapped(const Draft& d, const spec::User& user) {
  if (!d.new_userns || !d.spec.linux) return;
  const auto& uids = d.spec.linux->uidMappings;
  const auto& gids = d.spec.linux->gidMappings;
  if (!uids.empty() && !is_mapped(uids, user.uid))
    throw Error::at("process.user.uid", cat(user.uid, " is not mapped by linux.uidMappings"));
  if (gids.empty()) return;
  if (!is_mapped(gids, user.gid))
    throw Error::at("process.user.gid", cat(user.gid, " is not mapped by linux.gidMappings"));
  for (size_t i = 0; i < user.additionalGids.size(); ++i)
    if (!is_mapped(gids, user.additionalGids[i]))
      throw Error::at(cat("process.user.additionalGids[", i, "]"),
                      cat(user.additionalGids[i], " is not mapped by linux.gidMappings"));
}

// Groups are set even if there are none: the caller's are not the container's. Only where setgroups
// is denied (user_namespaces(7)) and none are asked for may they stay.
static void add_groups(Draft& d, const spec::User& user) {
  if (spec::is_set(d.spec, spec::kKeepGroups)) return;
  const bool may_be_denied =
      user.additionalGids.empty() && (d.new_userns || !d.host.initial_userns);
  d.b.init("process.user.additionalGids",
           Groups{d.b.list(user.additionalGids), may_be_denied ? kGroupsMayBeDenied : 0});
}

// The working directory is entered with all capabilities, and, if that was refused (a network file
// system that knows no root), again as the user.
void add_identity(Draft& d, const spec::Process& process, bool exec, bool keep_admin) {
  const spec::User& user = process.user;
  check_mapped(d, user);
  const spec::CapabilitySets sets = capability_sets(process);
  Capabilities wanted{};
  wanted.permitted = sets.bounding | sets.permitted | sets.inheritable;
  wanted.flags = kCapabilitiesCheck;
  if (wanted.permitted != 0) d.b.init("process.capabilities", wanted, OnError::kWarn);
  d.b.init("process.capabilities.bounding", BoundingSet{sets.bounding});

  // "/" is where the pivot, the joined mount namespace and chroot leave the init anyway.
  const bool elsewhere = process.cwd != "/";
  const Ref cwd = d.b.str(process.cwd);
  const bool again = elsewhere && user.uid != 0;
  if (elsewhere)
    d.b.init("process.cwd",
             WorkDir{cwd, (exec ? 0 : kWorkDirCreate) | (again ? kWorkDirFirst : 0)});
  add_groups(d, user);
  const bool is_it_already = d.host.all_root && !d.new_userns && user.uid == 0 && user.gid == 0;
  if (!is_it_already) d.b.init("process.user", SetIds{user.uid, user.gid});
  d.b.init("process.capabilities",
           Capabilities{sets.effective, sets.permitted, sets.inheritable, sets.ambient,
                        keep_admin ? kCapabilitiesKeepAdmin : 0});
  if (again) d.b.init("process.cwd", WorkDir{cwd, kWorkDirAgain});
  // Absent, the spec would have it inherited; images count on 0022, and every peer sets it.
  d.b.init("process.user.umask", Umask{user.umask.value_or(0022)});
}

bool may_keep_admin(const spec::Process& process) {
  constexpr int kSysAdmin = 21;  // CAP_SYS_ADMIN, linux/capability.h
  return (capability_sets(process).bounding >> kSysAdmin & 1) != 0;
}

void add_final_capabilities(Draft& d, const spec::Process& process) {
  const spec::CapabilitySets sets = capability_sets(process);
  d.b.init("process.capabilities", Capabilities{sets.effective, sets.permitted, sets.inheritable,
                                                sets.ambient, kCapabilitiesFinal});
}

}  // namespace coracle::plan
