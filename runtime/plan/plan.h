// plan(Spec, Request, Host) -> block of steps. Pure: what bad input can break, breaks here or in
// spec/, before any kernel object exists; golden tests run it without root.
//
// The order of the steps is the order of the builders' calls in plan.cc: read that file to see
// what `create` does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/builder.h"
#include "runtime/plan/mount_options.h"
#include "spec/spec.h"

namespace coracle::plan {

// Facts about the host and the caller, probed once (runtime/host/host.cc) and only as far as
// the spec needs them.
struct Host {
  uint32_t euid = 0;
  uint32_t egid = 0;
  bool all_root = false;       // real, effective and saved ids are 0 already
  bool privileged = true;      // CAP_SYS_ADMIN over the mount namespace that we are in
  bool traces = true;          // CAP_SYS_PTRACE in our user namespace
  bool initial_userns = true;  // not inside a user namespace
  bool apparmor = false;       // LSM enabled: labels are honoured, else refused
  bool selinux = false;
  std::string cgroup_path;               // own cgroup, "/..." as in /proc/self/cgroup
  std::vector<std::string> controllers;  // of the cgroup2 root, when resources are asked for
  std::string resctrl;       // where it is mounted, when linux.intelRdt is there; "": nowhere
  uint32_t listen_fds = 0;   // LISTEN_FDS, when LISTEN_PID is ours
  std::string listen_names;  // LISTEN_FDNAMES then
};

namespace seccomp {
struct Program;
}

// What the command line adds, whatever is planned.
struct Request {
  std::string_view id;
  std::string_view bundle;     // absolute
  bool start_follows = false;  // at once, on the sync socket: run, exec
  uint32_t preserve_fds = 0;
  bool has_console_socket = false;
  const seccomp::Program* seccomp = nullptr;  // the compiled filter, or none
};

struct CreateRequest : Request {
  std::string_view cgroup_path;  // of the container, below the cgroup2 mount; "" disabled
  // With systemd as the cgroups' maker (systemd::settle_unit); `unit` is "" without.
  std::string_view unit;
  std::string_view slice;
  std::string_view unit_description;
  uint32_t systemd_version = 0;
  bool no_pivot = false;
  bool no_new_keyring = false;
  bool rootless_cgroup_errors_ignored = false;
};

// Things worth telling that are no errors (an LSM label without the LSM, ...).
using Warnings = std::vector<std::string>;

// One limit of linux.resources (limits.h).
struct LimitWrite {
  std::string file;  // name in the cgroup's directory; a list with kCgroupFirstFile
  std::string value;
  uint32_t flags = 0;  // kCgroup*
  std::string origin;  // JSON path
};

// One node of /dev.
struct PlannedDevice {
  std::string origin;  // JSON path; "" for a default device
  MakeNode node;
};

// Everything a builder of a part needs; each add_* function appends its steps.
struct Draft {
  Builder b;
  const spec::Spec& spec;
  const Request& request;
  const CreateRequest& create;  // nothing in it where no container is made
  const Host& host;
  Warnings& warnings;
  const spec::Process* process = nullptr;  // null: none will be executed
  Slot rootfs = kNoSlot;
  Slot null = kNoSlot;
  bool lent_stdio = false;    // the init's standard streams are not the parent's
  bool pids_last = false;     // an existing pid namespace is entered by the last fork (entry.h)
  bool new_userns = false;    // the container gets a user namespace of its own (new or joined)
  bool parent_mounts = true;  // the parent may clone host mounts (false: rootless, the init does)
  bool running = false;       // mounts for a container that runs already (hot_mounts.cc)
  std::vector<PlannedMount> mounts;    // spec.mounts, read once by add_sources
  std::vector<PlannedDevice> devices;  // default and configured ones, read by add_sources
  Slot host_nodes = kNoSlot;           // where the parent makes them; kNoSlot: the init does
  std::vector<LimitWrite> late_limits;
};

// Parts, each in a file of its own:
void add_cgroup(Draft& d);       // cgroup.cc: make, limits, devices, delegation
void add_late_limits(Draft& d);  // cgroup.cc: those that would not let the init be born
void add_cgroup_leaf(Draft& d);  // cgroup.cc: a cgroup of its own for the container to manage
void add_sources(Draft& d);      // mounts.cc: rootfs and bind sources, opened before the clone
void add_clone(Draft& d);        // namespaces.cc: what to join and to make; entry.cc
void add_id_maps(Draft& d);      // namespaces.cc
void add_intel_rdt(Draft& d);    // intel_rdt.cc: resctrl group
void add_net_devices(Draft& d);  // namespaces.cc: host devices into the network namespace
void add_namespace_entries(Draft& d);   // namespaces.cc: session, keyring, cgroup ns, loopback
void add_rootfs(Draft& d);              // mounts.cc: attach, mounts, devices, symlinks
void add_hooks_before_pivot(Draft& d);  // plan.cc
void add_pivot(Draft& d);               // mounts.cc: pivot, masks, read-only paths, read-only root
void add_process_early(Draft& d);  // process.cc: hostname, sysctl, rlimits, scheduling, console
void add_process_late(Draft& d);   // process.cc: seccomp, capabilities, ids, cwd, exec

Draft make_draft(const spec::Spec& spec, const Request& request, const CreateRequest& create,
                 const Host& host, Warnings& warnings);

// The whole plan of `create` (and of `run`). Throws spec::Error.
std::vector<unsigned char> make_create(const spec::Spec& spec, const CreateRequest& request,
                                       const Host& host, Warnings& warnings);

struct ExecRequest : Request {
  uint64_t join = 0;  // CLONE_NEW*: the container's namespaces, through its init's pidfd
  bool into_cgroup = true;
  std::string_view path;  // of the program, where it is not args[0] to be searched for: a hook's
  bool waits = true;      // for its maker's go, before the program
};
// The slot in a plan that joins a container for the pidfd of its init, filled by the parent; and
// the one for its root directory, where it is not that of its mount namespace (EnterRoot).
inline constexpr Slot kExecContainer = 0;
inline constexpr Slot kExecRoot = 1;

// The plan of `exec`, and of a startContainer hook: joins the container's namespaces instead of
// making new ones. `process` is complete (merged from the container's and the request's).
std::vector<unsigned char> make_exec(const spec::Spec& spec, const spec::Process& process,
                                     const ExecRequest& request, const Host& host,
                                     Warnings& warnings);

// A program of the host's that works in the container's namespaces before the pivot, with all
// capabilities there: a createContainer hook. `program`: argv and environment.
struct HookRequest : Request {
  uint64_t join = 0;
  std::string_view path;  // of the host
};
// Slots besides: the container's root directory as its init sees it, and the program's file.
inline constexpr Slot kHookDirectory = 2;
inline constexpr Slot kHookProgram = 3;
std::vector<unsigned char> make_hook(const spec::Spec& spec, const spec::Process& program,
                                     const HookRequest& request, const Host& host,
                                     Warnings& warnings);

}  // namespace coracle::plan
