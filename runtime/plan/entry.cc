#include "runtime/plan/entry.h"

#include <linux/sched.h>

#include "runtime/plan/mounts.h"
#include "runtime/plan/namespaces.h"
#include "runtime/plan/process.h"

namespace coracle::plan {

static bool is_direct(const Entry& e) {
  return e.user == kNoSlot && e.pids == kNoSlot && e.time_offsets.off == 0 &&
         (e.fresh & CLONE_NEWUSER) == 0;
}

static bool is_proc(const Draft& d, size_t index) {
  const MountOptions& o = d.mounts[index].options;
  return d.spec.mounts[index].type == "proc" && !o.bind && !o.remount;
}

// What needs the pid namespace, which the init does not enter: procfs.
static void add_proc_contexts(Draft& d, const Entry& e) {
  std::vector<Slot> slots;
  for (size_t i = 0; i < d.mounts.size(); ++i)
    if (is_proc(d, i)) slots.push_back(d.mounts[i].context = d.b.slot());
  if (slots.empty()) return;
  const Slot user = d.host.privileged ? kNoSlot : e.user;
  d.b.init("linux.namespaces", ProcContexts{e.pids, user, d.b.list(slots)});
}

static void add_joins(Draft& d, const Entry& e) {
  for (const auto& [join, origin] : e.joins) d.b.init(origin, join);
  if (e.pids != kNoSlot) d.b.init("linux.namespaces", Join{e.pids, CLONE_NEWPID});
}

static void add_time_offsets(Draft& d, const Entry& e) {
  if (e.time_offsets.off != 0) d.b.init("linux.timeOffsets", TimeOffsets{e.time_offsets});
}

// An ordinary user writes the maps of a dumpable process alone, and the offsets of his own.
static void add_new_user(Draft& d, const Entry& e) {
  d.b.init("linux.namespaces", Unshare{CLONE_NEWUSER});
  if (!d.host.privileged) {
    d.b.init("", Dumpable{1});
    add_time_offsets(d, e);
  }
  d.b.parent("", Meet{});
  add_id_maps(d);
  d.b.init("", Meet{});
}

static void add_user(Draft& d, const Entry& e) {
  const bool fresh = (e.fresh & CLONE_NEWUSER) != 0;
  if (!fresh && e.user == kNoSlot) return;
  if (fresh) {
    add_new_user(d, e);
  } else {
    d.b.init("linux.namespaces", Join{e.user, CLONE_NEWUSER});
  }
  d.b.init("", BecomeRoot{e.uid, e.gid});
}

// A process is never itself in a new pid or time namespace that it has made.
static void add_others(Draft& d, const Entry& e) {
  uint64_t rest = e.fresh & ~uint64_t{CLONE_NEWUSER};
  if (e.time_offsets.off != 0) rest &= ~uint64_t{CLONE_NEWTIME};  // made by TimeOffsets
  const bool for_children = (rest & (CLONE_NEWPID | CLONE_NEWTIME)) != 0 || e.time_offsets.off != 0;
  if (for_children && !d.pids_last) {
    d.b.init("linux.namespaces", Fork{rest, 0});
    d.b.parent("linux.namespaces", Adopt{});
  } else if (rest != 0) {
    d.b.init("linux.namespaces", Unshare{rest});
  }
}

void add_entry(Draft& d, const Entry& e) {
  const bool direct = is_direct(e);
  d.pids_last = e.pids != kNoSlot;
  d.b.parent("linux.namespaces", Clone{direct ? e.fresh : 0, e.clone_flags});
  if (d.process != nullptr) add_oom_score(d, *d.process);
  if (d.pids_last) {
    d.b.init("", OpenProcfs{});
    add_proc_contexts(d, e);
  }
  // The rights over what is joined come from the runtime, or, for an ordinary user, from the user
  // namespace.
  if (d.host.privileged) {
    add_time_offsets(d, e);
    add_joins(d, e);
  }
  add_user(d, e);
  if (!d.host.privileged) {
    if ((e.fresh & CLONE_NEWUSER) == 0) add_time_offsets(d, e);
    add_joins(d, e);
  }
  if (!direct) add_others(d, e);
}

Entry entry_by_pidfd(Slot slot, uint64_t types) {
  Entry e;
  const auto others = static_cast<uint32_t>(types & ~uint64_t{CLONE_NEWUSER | CLONE_NEWPID});
  if (others != 0) e.joins.push_back({Join{slot, others}, "linux.namespaces"});
  if ((types & CLONE_NEWPID) != 0) e.pids = slot;
  if ((types & CLONE_NEWUSER) != 0) {
    e.user = slot;
    e.clone_flags |= kCloneUserns;
  }
  return e;
}

void add_late_fork(Draft& d, bool terminal) {
  if (!d.pids_last) return;
  d.b.init("linux.namespaces", Fork{0, kForkSession | (terminal ? kForkTerminal : 0)});
  d.b.parent("linux.namespaces", Adopt{});
  d.pids_last = false;
}

bool may_show_init(const Draft& d) {
  const spec::LinuxNamespace* user = find_namespace(d.spec, "user");
  return user == nullptr || user->path.empty() || d.pids_last;
}

void add_dumpable(Draft& d, bool on) {
  if (!d.host.traces && may_show_init(d)) d.b.init("", Dumpable{on ? 1u : 0u}, OnError::kWarn);
}

}  // namespace coracle::plan
