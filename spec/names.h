#pragma once
// The enumerated strings of runtime-spec 1.3, once: validation accepts exactly these, `features`
// lists exactly these, and the numbers are the kernel's (uapi headers of Linux 6.12), so that the
// planner needs no table of its own.

#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

namespace coracle::spec {

struct NamedValue {
  std::string_view name;
  uint64_t value;
};

// The value of `name` in one of the tables below.
template <size_t kSize>
constexpr std::optional<uint64_t> value_of(const NamedValue (&table)[kSize],
                                           std::string_view name) {
  for (const NamedValue& entry : table) {
    if (entry.name == name) return entry.value;
  }
  return std::nullopt;
}

template <size_t kSize>
constexpr bool contains(const std::string_view (&list)[kSize], std::string_view name) {
  for (std::string_view entry : list) {
    if (entry == name) return true;
  }
  return false;
}

// linux.namespaces[].type: the CLONE_NEW* flag (linux/sched.h).
inline constexpr NamedValue kNamespaceTypes[] = {
    {"cgroup", 0x02000000}, {"ipc", 0x08000000},  {"mount", 0x00020000}, {"network", 0x40000000},
    {"pid", 0x20000000},    {"time", 0x00000080}, {"user", 0x10000000},  {"uts", 0x04000000},
};

// process.scheduler.policy: SCHED_* (linux/sched.h). SCHED_ISO is reserved and never implemented:
// the kernel answers EINVAL.
inline constexpr NamedValue kSchedulerPolicies[] = {
    {"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},       {"SCHED_BATCH", 3},
    {"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6},
};

// process.scheduler.flags: SCHED_FLAG_* (linux/sched.h).
inline constexpr NamedValue kSchedulerFlags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
    {"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
    {"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};

// process.ioPriority.class: IOPRIO_CLASS_* (linux/ioprio.h).
inline constexpr NamedValue kIoPriorityClasses[] = {
    {"IOPRIO_CLASS_RT", 1},
    {"IOPRIO_CLASS_BE", 2},
    {"IOPRIO_CLASS_IDLE", 3},
};

// linux.memoryPolicy.mode: MPOL_* (linux/mempolicy.h); WEIGHTED_INTERLEAVE since Linux 6.9.
inline constexpr NamedValue kMemoryPolicyModes[] = {
    {"MPOL_DEFAULT", 0},
    {"MPOL_PREFERRED", 1},
    {"MPOL_BIND", 2},
    {"MPOL_INTERLEAVE", 3},
    {"MPOL_LOCAL", 4},
    {"MPOL_PREFERRED_MANY", 5},
    {"MPOL_WEIGHTED_INTERLEAVE", 6},
};

// linux.memoryPolicy.flags: MPOL_F_* (linux/mempolicy.h), or-ed to the mode.
inline constexpr NamedValue kMemoryPolicyFlags[] = {
    {"MPOL_F_NUMA_BALANCING", 1 << 13},
    {"MPOL_F_RELATIVE_NODES", 1 << 14},
    {"MPOL_F_STATIC_NODES", 1 << 15},
};

// linux.personality.domain: PER_* (linux/personality.h).
inline constexpr NamedValue kPersonalityDomains[] = {
    {"LINUX", 0x0000},
    {"LINUX32", 0x0008},
};

// linux.rootfsPropagation and the mount options of the same names: MS_* (linux/mount.h). The r
// forms (MS_REC) are not in the specification's list for the rootfs, but in every peer's.
inline constexpr NamedValue kPropagations[] = {
    {"private", 1 << 18},
    {"rprivate", 1 << 18 | 1 << 14},
    {"rshared", 1 << 20 | 1 << 14},
    {"rslave", 1 << 19 | 1 << 14},
    {"runbindable", 1 << 17 | 1 << 14},
    {"shared", 1 << 20},
    {"slave", 1 << 19},
    {"unbindable", 1 << 17},
};

// linux.seccomp.flags: SECCOMP_FILTER_FLAG_* (linux/seccomp.h).
inline constexpr NamedValue kSeccompFlags[] = {
    {"SECCOMP_FILTER_FLAG_LOG", 1 << 1},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", 1 << 2},
    {"SECCOMP_FILTER_FLAG_TSYNC", 1 << 0},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1 << 5},
};

inline constexpr std::string_view kSeccompActions[] = {
    "SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",       "SCMP_ACT_TRACE",       "SCMP_ACT_TRAP",
};

inline constexpr std::string_view kSeccompOperators[] = {
    "SCMP_CMP_EQ", "SCMP_CMP_GE",        "SCMP_CMP_GT", "SCMP_CMP_LE",
    "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
};

inline constexpr std::string_view kSeccompArchitectures[] = {
    "SCMP_ARCH_AARCH64",  "SCMP_ARCH_ARM",         "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",      "SCMP_ARCH_MIPS64N32",   "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC",      "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",      "SCMP_ARCH_PPC64",       "SCMP_ARCH_PPC64LE",     "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",     "SCMP_ARCH_S390X",       "SCMP_ARCH_SH",          "SCMP_ARCH_SHEB",
    "SCMP_ARCH_X32",      "SCMP_ARCH_X86",         "SCMP_ARCH_X86_64",
};

inline constexpr std::string_view kHookNames[] = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
};

inline constexpr std::string_view kTimeOffsetClocks[] = {"boottime", "monotonic"};

inline constexpr std::string_view kVmImageFormats[] = {"qcow2", "raw", "vdi", "vhd", "vmdk"};

// The mount options with a meaning of their own (config.md, "Linux mount options"); all others
// are handed to the file system.
inline constexpr std::string_view kMountOptions[] = {
    "async",         "atime",        "bind",
    "defaults",      "dev",          "diratime",
    "dirsync",       "exec",         "idmap",
    "iversion",      "lazytime",     "loud",
    "mand",          "noatime",      "nodev",
    "nodiratime",    "noexec",       "noiversion",
    "nolazytime",    "nomand",       "norelatime",
    "nostrictatime", "nosuid",       "nosymfollow",
    "private",       "ratime",       "rbind",
    "rdev",          "rdiratime",    "relatime",
    "remount",       "rexec",        "ridmap",
    "rnoatime",      "rnodev",       "rnodiratime",
    "rnoexec",       "rnorelatime",  "rnostrictatime",
    "rnosuid",       "rnosymfollow", "ro",
    "rprivate",      "rrelatime",    "rro",
    "rrw",           "rshared",      "rslave",
    "rstrictatime",  "rsuid",        "rsymfollow",
    "runbindable",   "rw",           "shared",
    "silent",        "slave",        "strictatime",
    "suid",          "symfollow",    "sync",
    "tmpcopyup",     "unbindable",
};

}  // namespace coracle::spec
