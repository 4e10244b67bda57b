// The plan as bytes: one position-independent block that the parent compiles and both actors walk.
//
//   Header | Step[step_count] | arena (strings, arrays, BPF programs, argv, environment, slots)
//
// Everything is addressed by offset from the start of the block, so the freestanding init can map
// the sealed memfd anywhere. Nothing here needs a C library; runtime/init includes only this file.
//
// Kinds of step are listed once, in CORACLE_STEPS below; each has a plain payload struct of the
// same name. Who does a step (Actor) is data: some kinds can be done by either side.
#pragma once

#include "runtime/plan/payloads.h"

namespace coracle::plan {

// Steps of the parent alone ...
#define CORACLE_PARENT_STEPS(X)          \
  X(CgroupMake, "make cgroup")           \
  X(SetUnitProperty, "unit property")    \
  X(StartUnit, "start unit")             \
  X(CgroupWrite, "cgroup write")         \
  X(CgroupDevices, "cgroup devices")     \
  X(CgroupDelegate, "delegate cgroup")   \
  X(CgroupLeaf, "enter cgroup leaf")     \
  X(IdmapUserns, "idmap user namespace") \
  X(IdmapTree, "idmap")                  \
  X(OpenNamespace, "open namespace")     \
  X(Clone, "clone")                      \
  X(Adopt, "adopt")                      \
  X(IdMaps, "id maps")                   \
  X(Meet, "meet")                        \
  X(Hooks, "hooks")                      \
  X(NetDevice, "net device")             \
  X(IntelRdt, "intel rdt")               \
  X(ConsoleSend, "send console")         \
  X(SeccompListener, "seccomp listener") \
  X(RecordCreated, "record created")

// ... and those of the init, some of which the parent does too, with the same code.
#define CORACLE_INIT_STEPS(X)             \
  X(OpenTree, "open tree")                \
  X(OpenProcfs, "open procfs")            \
  X(ProcContexts, "proc contexts")        \
  X(Join, "join namespaces")              \
  X(Unshare, "new namespaces")            \
  X(Dumpable, "dumpable")                 \
  X(TimeOffsets, "time offsets")          \
  X(BecomeRoot, "become root")            \
  X(Fork, "fork")                         \
  X(SetSession, "new session")            \
  X(Keyring, "session keyring")           \
  X(LoopbackUp, "loopback up")            \
  X(PropagationRoot, "propagation of /")  \
  X(AttachRoot, "attach rootfs")          \
  X(HostNull, "open /dev/null")           \
  X(MountFs, "mount")                     \
  X(MountTree, "bind mount")              \
  X(Remount, "remount")                   \
  X(MakeDir, "mkdir")                     \
  X(HostNodes, "make devices")            \
  X(CloneNodes, "clone devices")          \
  X(MakeNode, "device")                   \
  X(MakeSymlink, "symlink")               \
  X(MaskPath, "mask path")                \
  X(ReadonlyPath, "read-only path")       \
  X(PivotRoot, "pivot_root")              \
  X(EnterRoot, "enter root")              \
  X(EnterMounts, "enter mount namespace") \
  X(Unmount, "unmount")                   \
  X(Leave, "leave")                       \
  X(RootAttr, "attributes of /")          \
  X(Hostname, "hostname")                 \
  X(Domainname, "domainname")             \
  X(Sysctl, "sysctl")                     \
  X(CgroupNamespace, "cgroup namespace")  \
  X(Rlimit, "rlimit")                     \
  X(OomScoreAdj, "oom_score_adj")         \
  X(Scheduler, "scheduler")               \
  X(IoPriority, "io priority")            \
  X(Personality, "personality")           \
  X(MemoryPolicy, "memory policy")        \
  X(CpuAffinity, "cpu affinity")          \
  X(Console, "console")                   \
  X(StdioOwner, "owner of stdio")         \
  X(NoNewPrivileges, "no new privileges") \
  X(SeccompFilter, "seccomp")             \
  X(ProcessLabel, "process label")        \
  X(BoundingSet, "bounding set")          \
  X(Groups, "groups")                     \
  X(SetIds, "set user and group")         \
  X(Umask, "umask")                       \
  X(Capabilities, "capabilities")         \
  X(WorkDir, "chdir")                     \
  X(FindHome, "find home")                \
  X(ResolveProgram, "find program")       \
  X(PreserveFds, "close-on-exec")         \
  X(AwaitStart, "await start")            \
  X(Execute, "exec")

#define CORACLE_STEPS(X) CORACLE_PARENT_STEPS(X) CORACLE_INIT_STEPS(X)

enum class Op : uint16_t {
#define X(name, text) k##name,
  CORACLE_STEPS(X)
#undef X
      kCount,
};

template <class Payload>
struct OpOf;
#define X(name, text)                         \
  template <>                                 \
  struct OpOf<name> {                         \
    static constexpr Op kValue = Op::k##name; \
  };
CORACLE_STEPS(X)
#undef X

struct Step {
  Op op;
  Actor actor;
  OnError on_error;
  Ref origin;  // where it comes from: the JSON path ("mounts[3]"), or none
  alignas(8) unsigned char payload[56];

  template <class Payload>
  const Payload& as() const {
    static_assert(sizeof(Payload) <= sizeof(payload));
    return *reinterpret_cast<const Payload*>(payload);
  }
};

inline constexpr char kMagic[8] = {'C', 'O', 'R', 'P', 'L', 'A', 'N', '2'};

struct Header {
  char magic[8];
  uint32_t size;  // of the whole block, bytes
  uint32_t step_count;
  List slots;         // int32_t: fd numbers, filled by the parent before the clone
  int32_t sync_fd;    // the init's end of the SOCK_SEQPACKET pair
  int32_t report_fd;  // a file of a Report, to be mapped shared
  uint32_t steps;     // offset of Step[step_count]
  uint32_t hold;      // not 0: kGo comes before the first step (the cgroup is not reached yet)
};

// ---- what goes over the sync socket ----------------------------------------------------------
//
//   parent                              init
//     | ---- kGo(step) ------------------> |   the parent came to Meet{actor init}
//     | <--- kReached(step) -------------- |   the init came to Meet{actor parent}
//     | <--- kWarning(step, call, errno)-- |   an OnError::kWarn step failed; the init goes on
//     | <--- kFailure(step, call, errno)-- |   the init is gone after this
//     | <--- kDescriptor(step) + fd ------ |   pty master, seccomp listener, a tree
//     | <--- EOF ------------------------- |   after kReached of AwaitStart: the program runs
enum class MessageKind : uint8_t { kGo = 1, kReached, kWarning, kFailure, kDescriptor };

// The call inside a step that failed; names for the parent's text.
#define CORACLE_CALLS(X) \
  X(none)                \
  X(open)                \
  X(openat2)             \
  X(fsopen)              \
  X(fsconfig)            \
  X(fsmount)             \
  X(fspick)              \
  X(open_tree)           \
  X(move_mount)          \
  X(mount)               \
  X(mount_setattr)       \
  X(mkdir)               \
  X(mknod)               \
  X(symlink)             \
  X(chmod)               \
  X(chown)               \
  X(fstat)               \
  X(pivot_root)          \
  X(umount)              \
  X(chdir)               \
  X(chroot)              \
  X(setns)               \
  X(unshare)             \
  X(read)                \
  X(write)               \
  X(ioctl)               \
  X(socket)              \
  X(prctl)               \
  X(capset)              \
  X(setgroups)           \
  X(setresgid)           \
  X(setresuid)           \
  X(setrlimit)           \
  X(sched_setattr)       \
  X(sched_setaffinity)   \
  X(ioprio_set)          \
  X(personality)         \
  X(set_mempolicy)       \
  X(keyctl)              \
  X(seccomp)             \
  X(sethostname)         \
  X(setdomainname)       \
  X(setsid)              \
  X(accept)              \
  X(poll)                \
  X(execve)              \
  X(access)              \
  X(getcwd)              \
  X(close_range)         \
  X(sendmsg)             \
  X(dup)                 \
  X(mmap)                \
  X(umask)               \
  X(getdents)            \
  X(copy)                \
  X(verify)              \
  X(clone)               \
  X(memfd)               \
  X(link)                \
  X(readlink)

enum class Call : uint8_t {
#define X(name) k_##name,
  CORACLE_CALLS(X)
#undef X
      kCount,
};

struct Message {
  MessageKind kind;
  Call call;
  uint16_t step;
  int32_t error;   // errno
  uint32_t extra;  // which option, which attribute, ... of the payload's list
  char text[116];  // the kernel's own words (fs context log), or a path found; NUL-terminated
};
static_assert(sizeof(Message) == 128);

// What the init tells without a system call, in memory that it shares with the parent: behind the
// container's seccomp filter it may not be able to send anything. It is written before the message
// that says the same, and read when the socket has closed without one.
struct Report {
  int32_t child;    // pid of the child of Fork, as the parent sees it
  uint32_t step;    // index of the step that the init stands at
  Message failure;  // kind kFailure, once there is one
};
inline constexpr uint32_t kReportSize = 4096;
static_assert(sizeof(Report) <= kReportSize);

}  // namespace coracle::plan
