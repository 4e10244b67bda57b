// How the init gets into the namespaces of a container, by the same steps whatever it is to be
// there: the container's first process, a further one, a hook, or a helper (drawn in
// runtime/init/namespaces.cc).
#pragma once

#include "runtime/plan/plan.h"

namespace coracle::plan {

struct Entry {
  std::vector<std::pair<Join, std::string>> joins;  // but user and pid namespaces; JSON path
  Slot user = kNoSlot;                              // a user namespace to join
  Slot pids = kNoSlot;                              // a pid namespace to join
  uint64_t fresh = 0;                               // CLONE_NEW* to make
  Ref time_offsets{0};                              // text, with CLONE_NEWTIME in `fresh`
  uint32_t clone_flags = 0;                         // kClone*
  uint32_t uid = 0;  // who the init is in a user namespace that maps no root
  uint32_t gid = 0;
};

// From the clone to the container's namespaces, but for a pid namespace that exists: that one is
// entered by add_late_fork().
void add_entry(Draft& d, const Entry& entry);

// The namespaces of a running container, by the pidfd in `slot`. `types`: CLONE_NEW*.
Entry entry_by_pidfd(Slot slot, uint64_t types);

// The init's last act outside of an existing pid namespace (Draft::pids_last): its child is born
// inside. `terminal`: its standard input is a terminal that it has to control.
void add_late_fork(Draft& d, bool terminal);

// Around a wait in which we join the init's namespaces by a pidfd of it, which takes
// CAP_SYS_PTRACE, or an init that is dumpable: nothing where we have the capability.
void add_dumpable(Draft& d, bool on);
// In a joined user namespace it is not, for others in there would have rights over it; unless it is
// still outside of the pid namespace, where they do not see it.
bool may_show_init(const Draft& d);

}  // namespace coracle::plan
