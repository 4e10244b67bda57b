// A container's cgroup (v2): found or made, limited, given its device rules, handed over. What
// happens to it later (freeze, kill, remove) is in control.h.
//
// Everything goes through descriptors: of the cgroup2 mount, and of the cgroup's own directory.
// Only move() and enter_leaf() move a process: the init is born inside by CLONE_INTO_CGROUP,
// because a write to cgroup.procs waits for an RCU grace period (4 to 17 ms after idle).
//
// All functions throw spec::Error, whose code() is the errno of the call that failed, if one did.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/sys/fd.h"
#include "spec/spec.h"

namespace coracle::cgroup {

struct Cgroup {
  sys::Fd dir;       // open directory: for CLONE_INTO_CGROUP, and for all that follows
  std::string path;  // below the cgroup2 mount, starts with '/'
  size_t found = 0;  // the leading part of `path`, in bytes, that make() has not made
  bool is_new() const { return found < path.size(); }
};

// The cgroup2 mount on /sys/fs/cgroup. Says in one sentence what is missing where it is none.
sys::Fd open_mount();

// The controllers of the mount's root, for plan::Host.
std::vector<std::string> available_controllers(const sys::Fd& mount);

// An existing cgroup. code() is ENOENT where there is none.
Cgroup open(const sys::Fd& mount, std::string_view path);
// The same, but `dir` holds -errno where it cannot be opened.
Cgroup try_open(const sys::Fd& mount, std::string_view path);

// Refuses a cgroup that exists and has processes (another container's?) or is frozen (what were
// put there would wait for ever).
void check_unused(const sys::Fd& mount, std::string_view path);

// Makes `path` (as settle_path gives it) and whatever is missing above it, mode 0755, and sees to
// it that the controllers are there. Refuses a cgroup that is not unused, as check_unused() does.
// On an error nothing stays behind.
//
// Cost where the parent exists and no controller is asked for: mkdirat and openat2. If something
// above had to be made, it passes on all controllers that it has, so that a driver's directory
// ("/docker") gets them once and for all, and its containers have statistics.
Cgroup make(const sys::Fd& mount, std::string_view path,
            const std::vector<std::string_view>& controllers);

// Removes again what make() made, as far as it is empty; for a create that fails later. Never
// throws: the error that led here is the one to tell.
void undo_make(const sys::Fd& mount, const Cgroup& cgroup) noexcept;

// Enables the controllers for a cgroup that exists (`update` may set a limit that `create` had no
// need of). Does nothing if they are there. With Pass::kWanted no other controller is touched on
// the way: above are systemd's cgroups.
enum class Pass { kAll, kWanted };
void enable_controllers(const sys::Fd& mount, const Cgroup& cgroup,
                        const std::vector<std::string_view>& controllers, Pass pass = Pass::kAll);

// To be called when clone3 into the cgroup fails with EOPNOTSUPP, before a second try: below a
// threaded cgroup a new one is "domain invalid" until it is made threaded too. Throws if a
// controller is asked for that works only for whole domains.
void settle_type(const sys::Fd& mount, const Cgroup& cgroup,
                 const std::vector<std::string_view>& controllers);

// Does a plan::CgroupWrite; `flags` are kCgroup* of runtime/plan/format.h.
void write_limit(const Cgroup& cgroup, std::string_view file, std::string_view value,
                 uint32_t flags);

// memory.checkBeforeUpdate: throws if a limit is at or below what is in use now.
void check_memory(const Cgroup& cgroup, const spec::LinuxMemory& memory);

// Loads and attaches a device program (plan::device_program). A cgroup that existed before may
// have one from before: it is replaced.
void attach_devices(const Cgroup& cgroup, const uint64_t* instructions, size_t count);

// Gives directory and control files to an owner, who may then manage what is below: the files
// that the kernel lists in /sys/kernel/cgroup/delegate. UINT32_MAX leaves the uid or gid alone.
void delegate(const Cgroup& cgroup, uint32_t uid, uint32_t gid);

// Makes a cgroup below the container's, moves a process there, and then, since nobody is above it
// any more, gives it all controllers that the container's has.
Cgroup enter_leaf(const sys::Fd& mount, const Cgroup& cgroup, std::string_view sub, pid_t pid);

// Moves a process there. Its limit on the number of processes does not count (pids.max,
// cgroup-v2.rst: "organisational operations are not blocked").
void move(const Cgroup& cgroup, pid_t pid);

// A cgroup below the container's, for `exec --cgroup` ("/" is the container's own).
Cgroup open_sub(const Cgroup& cgroup, std::string_view sub);

}  // namespace coracle::cgroup
