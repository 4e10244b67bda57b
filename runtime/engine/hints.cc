#include "runtime/engine/hints.h"

#include <errno.h>
#include <linux/sched.h>

#include "runtime/sys/file.h"

namespace coracle::engine {

using plan::Op;

namespace {

struct Facts {
  bool userns = false;     // the container is in one that is not the caller's
  uint64_t own = 0;        // CLONE_NEW*: namespaces made for it
  std::string_view thing;  // type of the file system, ...
};

struct Rule {
  Op op;
  int error;  // 0: EPERM and EACCES
  std::string_view thing;
  bool (*applies)(const Facts&);
  const char* why;
  plan::Call call = plan::Call::k_none;  // only where this one was refused
};

bool in_userns(const Facts& f) { return f.userns; }
bool in_userns_without_pids(const Facts& f) { return f.userns && (f.own & CLONE_NEWPID) == 0; }
bool in_userns_without_net(const Facts& f) { return f.userns && (f.own & CLONE_NEWNET) == 0; }
bool in_userns_without_ipc(const Facts& f) { return f.userns && (f.own & CLONE_NEWIPC) == 0; }
bool always(const Facts&) { return true; }

// The first that fits counts.
constexpr Rule kRules[] = {
    {Op::kMountFs, 0, "", in_userns,
     "to idmap a new file system takes rights over both user namespaces, the container's and the "
     "one with the mappings, which nobody inside has: bind one of the host's instead",
     plan::Call::k_mount_setattr},
    {Op::kMountFs, 0, "proc", in_userns_without_pids,
     "in a user namespace procfs needs a pid namespace that belongs to it: add one to "
     "linux.namespaces, or bind /proc (options: rbind)"},
    {Op::kMountFs, 0, "proc", in_userns,
     "in a user namespace the kernel refuses a new procfs while parts of /proc are hidden by other "
     "mounts, as inside a container (mount_namespaces(7)): show them there, or bind /proc "
     "(options: rbind)"},
    {Op::kMountFs, 0, "sysfs", in_userns_without_net,
     "in a user namespace sysfs needs a network namespace that belongs to it: add one to "
     "linux.namespaces, or bind /sys (options: rbind)"},
    {Op::kMountFs, 0, "sysfs", in_userns,
     "in a user namespace the kernel refuses a new sysfs while parts of /sys are hidden by other "
     "mounts (mount_namespaces(7)): bind /sys (options: rbind)"},
    {Op::kMountFs, 0, "mqueue", in_userns_without_ipc,
     "in a user namespace mqueue needs an ipc namespace that belongs to it: add one to "
     "linux.namespaces, or bind /dev/mqueue"},
    {Op::kMountFs, ENOENT, "mqueue", in_userns_without_ipc,
     "in a user namespace mqueue needs an ipc namespace that belongs to it: add one to "
     "linux.namespaces; without one the host's /dev/mqueue was to be bound, and is not mounted"},
    {Op::kMountFs, 0, "cgroup2", in_userns,
     "in a user namespace cgroup2 needs a cgroup namespace that belongs to it, and no part of "
     "/sys/fs/cgroup hidden by other mounts (mount_namespaces(7))"},
    {Op::kMountFs, 0, "", in_userns,
     "few file systems can be mounted in a user namespace (user_namespaces(7)): let the host's "
     "root "
     "mount it, and bind it"},
    {Op::kMountTree, 0, "", in_userns,
     "in a user namespace ro, nosuid, nodev, noexec and the access time of the host's mounts are "
     "locked, and so is what they hide (mount_namespaces(7)): ask for the same flags, or for "
     "rbind"},
    {Op::kOpenTree, 0, "", in_userns,
     "in a user namespace ro, nosuid, nodev, noexec and the access time of the host's mounts are "
     "locked (mount_namespaces(7)): ask for the same flags",
     plan::Call::k_mount_setattr},
    {Op::kOpenTree, 0, "", in_userns,
     "the path has to be reachable for the container's root, who is an ordinary user on the host; "
     "and mounts below it may hide something, then it takes rbind (mount_namespaces(7))"},
    {Op::kOpenTree, EINVAL, "", in_userns,
     "mounts below it may hide something: in a user namespace it takes rbind then "
     "(mount_namespaces(7))"},
    {Op::kRemount, 0, "", in_userns,
     "in a user namespace ro, nosuid, nodev, noexec and the access time of the host's mounts are "
     "locked (mount_namespaces(7))"},
    {Op::kMakeNode, 0, "", in_userns,
     "nobody can make devices in a user namespace (user_namespaces(7)): bind the host's"},
    {Op::kAttachRoot, 0, "", in_userns,
     "the root file system has to be reachable for the container's root, who is an ordinary user "
     "on "
     "the host: see the permissions of the folders above it"},
    {Op::kGroups, 0, "", in_userns,
     "setgroups is denied in a user namespace that an ordinary user has mapped himself "
     "(user_namespaces(7)): map more ids by newgidmap (/etc/subgid), or give no additionalGids"},
    {Op::kRlimit, 0, "", always,
     "raising a hard limit takes CAP_SYS_RESOURCE in the initial user namespace (getrlimit(2))"},
    {Op::kScheduler, 0, "", in_userns,
     "real-time policies and higher priorities take CAP_SYS_NICE in the initial user namespace, or "
     "RLIMIT_RTPRIO and RLIMIT_NICE (sched(7))"},
    {Op::kIoPriority, 0, "", in_userns,
     "the real-time class takes CAP_SYS_ADMIN in the initial user namespace (ioprio_set(2))"},
    {Op::kOomScoreAdj, 0, "", always,
     "lowering it takes CAP_SYS_RESOURCE in the initial user namespace "
     "(proc_pid_oom_score_adj(5))"},
    {Op::kSysctl, 0, "", in_userns,
     "it belongs to a namespace that the container's user namespace does not own"},
    {Op::kLoopbackUp, 0, "", in_userns,
     "the network namespace belongs to another user namespace than the container's"},
    {Op::kPivotRoot, EINVAL, "", always,
     "the host's root is the initial ramfs, from which nothing can pivot away (pivot_root(2)): "
     "--no-pivot, or a host that has moved to a file system of its own (switch_root(8))",
     plan::Call::k_pivot_root},
    {Op::kCgroupMake, 0, "", always,
     "an ordinary user may make cgroups only below one that was delegated to him, and only from "
     "inside of it (cgroup-v2.rst, \"Delegation\"): systemd-run --user --scope -p Delegate=yes, or "
     "--cgroup-manager systemd"},
    {Op::kCgroupMake, EROFS, "", always,
     "/sys/fs/cgroup is mounted read-only here, as inside a container"},
    {Op::kClone, EACCES, "", always,
     "an ordinary user's container can be born only in a cgroup below one that was delegated to "
     "him "
     "and that he is inside of (cgroup-v2.rst, \"Delegation Containment\")"},
};

Facts facts_of(const plan::View& plan, const plan::Step& step) {
  Facts facts;
  for (const plan::Step& other : plan) {
    if (other.op == Op::kUnshare) facts.own |= other.as<plan::Unshare>().namespaces;
    if (other.op == Op::kFork) facts.own |= other.as<plan::Fork>().namespaces;
    if (other.op != Op::kClone) continue;
    const auto& clone = other.as<plan::Clone>();
    facts.userns = (clone.flags & plan::kCloneUserns) != 0;
    facts.own |= clone.namespaces;
  }
  if (step.op == Op::kMountFs) facts.thing = plan.str(step.as<plan::MountFs>().fstype);
  return facts;
}

bool is_zero(const char* file) {
  std::string text;
  return sys::read_file(sys::At::cwd(), file, text) == 0 && text == "0\n";
}

bool is_one(const char* file) {
  std::string text;
  return sys::read_file(sys::At::cwd(), file, text) == 0 && text == "1\n";
}

}  // namespace

std::string why_denied(const plan::View& plan, const plan::Step& step, plan::Call call, int error) {
  const bool makes_userns =
      step.op == Op::kUnshare && (step.as<plan::Unshare>().namespaces & CLONE_NEWUSER) != 0;
  if (makes_userns) return why_no_userns(error);
  const Facts facts = facts_of(plan, step);
  for (const Rule& rule : kRules) {
    const bool fits = rule.error == 0 ? error == EPERM || error == EACCES : error == rule.error;
    const bool called = rule.call == plan::Call::k_none || rule.call == call;
    if (rule.op == step.op && fits && called && (rule.thing.empty() || rule.thing == facts.thing) &&
        rule.applies(facts))
      return rule.why;
  }
  return "";
}

std::string why_no_userns(int error) {
  if (error == ENOSPC)
    return "user.max_user_namespaces or another limit of user.max_*_namespaces is reached "
           "(namespaces(7))";
  if (error == EUSERS) return "user namespaces are nested too deep (32 levels)";
  if (error != EPERM && error != EACCES) return "";
  if (is_zero("/proc/sys/kernel/unprivileged_userns_clone"))
    return "kernel.unprivileged_userns_clone is 0: this machine lets only root make user "
           "namespaces";
  if (is_one("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"))
    return "kernel.apparmor_restrict_unprivileged_userns is 1: this machine lets only programs "
           "with an AppArmor profile for it make user namespaces";
  return "a seccomp filter or a security module may forbid user namespaces, and nobody can make "
         "one in a chroot (user_namespaces(7))";
}

}  // namespace coracle::engine
