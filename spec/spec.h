#pragma once
// What a bundle asks for: plain structs that mirror the OCI runtime specification 1.3 (Linux and
// vm sections) and nothing else. Struct names are those of specs-go/config.go, member names are
// the JSON keys (with an underscore behind where the key is a C++ keyword).
//
// How absence is told:
// - strings: "" (absent, null and "" mean the same, as in the Go bindings); data() is never null;
// - booleans that default to false: false; where absence differs from false: std::optional;
// - numbers, objects: std::optional, unless the specification gives a default (then that);
// - arrays and maps: empty; `seccomp.flags` is optional because "absent" differs from "none".
// A JSON null is the same as absence everywhere.
//
// Every string_view points into the buffer of the Document it was parsed from (spec/json.h), or at
// a literal, and is NUL-terminated: data() is a C string. A Spec must not outlive its Document.
// The structs are copyable; copies share the strings.
//
// A Spec that came from parse has the right types and ranges; that its values make sense together
// is what validate() (spec/validate.h) says.

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

// GNU modes of the preprocessor define `linux` as 1.
#ifdef linux
#undef linux
#endif

namespace coracle::spec {

// A JSON object with free keys, in the order of the file; keys are unique.
template <typename T>
using Map = std::vector<std::pair<std::string_view, T>>;

using Strings = std::vector<std::string_view>;

// ---- process -----------------------------------------------------------------------------------

struct Box {  // in characters
  uint64_t height = 0;
  uint64_t width = 0;
};

struct User {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::optional<uint32_t> umask;
  std::vector<uint32_t> additionalGids;
  std::string_view username = "";  // Windows only
};

struct LinuxCapabilities {
  Strings bounding;
  Strings effective;
  Strings inheritable;
  Strings permitted;
  Strings ambient;
};

struct POSIXRlimit {
  std::string_view type = "";  // "RLIMIT_NOFILE"
  uint64_t hard = 0;
  uint64_t soft = 0;
};

struct Scheduler {
  std::string_view policy = "";  // "SCHED_OTHER"
  int32_t nice = 0;
  int32_t priority = 0;
  Strings flags;
  uint64_t runtime = 0;   // ns
  uint64_t deadline = 0;  // ns
  uint64_t period = 0;    // ns
};

struct LinuxIOPriority {
  std::string_view class_ = "";  // "IOPRIO_CLASS_BE"
  int32_t priority = 0;
};

struct CPUAffinity {
  std::string_view initial = "";  // CPU list "0-3,7"
  std::string_view final = "";
};

struct Process {
  bool terminal = false;
  std::optional<Box> consoleSize;
  User user;
  Strings args;
  std::string_view commandLine = "";  // Windows only
  Strings env;
  std::string_view cwd = "";
  std::optional<LinuxCapabilities> capabilities;
  std::vector<POSIXRlimit> rlimits;
  bool noNewPrivileges = false;
  std::string_view apparmorProfile = "";
  std::optional<int32_t> oomScoreAdj;
  std::optional<Scheduler> scheduler;
  std::string_view selinuxLabel = "";
  std::optional<LinuxIOPriority> ioPriority;
  std::optional<CPUAffinity> execCPUAffinity;
};

// ---- root, mounts, hooks -----------------------------------------------------------------------

struct Root {
  std::string_view path = "";
  bool readonly = false;
};

struct LinuxIDMapping {
  uint32_t containerID = 0;
  uint32_t hostID = 0;
  uint32_t size = 0;
};

struct Mount {
  std::string_view destination = "";
  std::string_view type = "";
  std::string_view source = "";
  Strings options;
  std::vector<LinuxIDMapping> uidMappings;
  std::vector<LinuxIDMapping> gidMappings;
};

struct Hook {
  std::string_view path = "";
  Strings args;                    // argv, args[0] included
  Strings env;                     // the whole environment
  std::optional<int64_t> timeout;  // seconds
};

struct Hooks {
  std::vector<Hook> prestart;
  std::vector<Hook> createRuntime;
  std::vector<Hook> createContainer;
  std::vector<Hook> startContainer;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;
};

// ---- linux.resources ---------------------------------------------------------------------------

struct LinuxDeviceCgroup {
  bool allow = false;
  std::string_view type = "";    // "a", "b", "c"; "" is "a"
  std::optional<int64_t> major;  // absent or -1: all
  std::optional<int64_t> minor;
  std::string_view access = "";  // of "rwm"
};

struct LinuxMemory {  // bytes; -1 is unlimited
  std::optional<int64_t> limit;
  std::optional<int64_t> reservation;
  std::optional<int64_t> swap;  // memory + swap
  std::optional<int64_t> kernel;
  std::optional<int64_t> kernelTCP;
  std::optional<uint64_t> swappiness;
  std::optional<bool> disableOOMKiller;
  std::optional<bool> useHierarchy;
  std::optional<bool> checkBeforeUpdate;
};

struct LinuxCPU {  // times in microseconds
  std::optional<uint64_t> shares;
  std::optional<int64_t> quota;
  std::optional<uint64_t> burst;
  std::optional<uint64_t> period;
  std::optional<int64_t> realtimeRuntime;
  std::optional<uint64_t> realtimePeriod;
  std::string_view cpus = "";
  std::string_view mems = "";
  std::optional<int64_t> idle;
};

struct LinuxPids {
  std::optional<int64_t> limit;  // -1 is unlimited, 0 a real limit
};

struct LinuxWeightDevice {
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<uint16_t> weight;
  std::optional<uint16_t> leafWeight;
};

struct LinuxThrottleDevice {
  int64_t major = 0;
  int64_t minor = 0;
  uint64_t rate = 0;  // bytes or operations a second
};

struct LinuxBlockIO {
  std::optional<uint16_t> weight;
  std::optional<uint16_t> leafWeight;
  std::vector<LinuxWeightDevice> weightDevice;
  std::vector<LinuxThrottleDevice> throttleReadBpsDevice;
  std::vector<LinuxThrottleDevice> throttleWriteBpsDevice;
  std::vector<LinuxThrottleDevice> throttleReadIOPSDevice;
  std::vector<LinuxThrottleDevice> throttleWriteIOPSDevice;
};

struct LinuxHugepageLimit {
  std::string_view pageSize = "";  // "2MB"
  uint64_t limit = 0;              // bytes
};

struct LinuxInterfacePriority {
  std::string_view name = "";
  uint32_t priority = 0;
};

struct LinuxNetwork {
  std::optional<uint32_t> classID;
  std::vector<LinuxInterfacePriority> priorities;
};

struct LinuxRdma {
  std::optional<uint32_t> hcaHandles;
  std::optional<uint32_t> hcaObjects;
};

struct LinuxResources {
  std::vector<LinuxDeviceCgroup> devices;
  std::optional<LinuxMemory> memory;
  std::optional<LinuxCPU> cpu;
  std::optional<LinuxPids> pids;
  std::optional<LinuxBlockIO> blockIO;
  std::vector<LinuxHugepageLimit> hugepageLimits;
  std::optional<LinuxNetwork> network;
  Map<LinuxRdma> rdma;            // key: device name
  Map<std::string_view> unified;  // key: cgroup v2 file
};

// ---- linux -------------------------------------------------------------------------------------

struct LinuxNamespace {
  std::string_view type = "";  // pid network mount ipc uts user cgroup time
  std::string_view path = "";  // "" makes a new one
};

struct LinuxTimeOffset {
  int64_t secs = 0;
  uint32_t nanosecs = 0;
};

struct LinuxDevice {
  std::string_view path = "";
  std::string_view type = "";  // c b u p
  std::optional<int64_t> major;
  std::optional<int64_t> minor;
  std::optional<uint32_t> fileMode;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
};

struct LinuxNetDevice {
  std::string_view name = "";  // in the container; "" keeps the host's
};

struct LinuxSeccompArg {
  uint32_t index = 0;
  uint64_t value = 0;
  uint64_t valueTwo = 0;
  std::string_view op = "";  // "SCMP_CMP_EQ"
};

struct LinuxSyscall {
  Strings names;
  std::string_view action = "";  // "SCMP_ACT_ALLOW"
  std::optional<uint32_t> errnoRet;
  std::vector<LinuxSeccompArg> args;
};

struct LinuxSeccomp {
  std::string_view defaultAction = "";
  std::optional<uint32_t> defaultErrnoRet;
  Strings architectures;
  std::optional<Strings> flags;
  std::string_view listenerPath = "";
  std::string_view listenerMetadata = "";
  std::vector<LinuxSyscall> syscalls;
};

struct LinuxIntelRdt {
  std::string_view closID = "";
  Strings schemata;
  std::string_view l3CacheSchema = "";
  std::string_view memBwSchema = "";
  bool enableMonitoring = false;
};

struct LinuxMemoryPolicy {
  std::string_view mode = "";   // "MPOL_BIND"
  std::string_view nodes = "";  // node list "0-3,7"
  Strings flags;
};

struct LinuxPersonality {
  std::string_view domain = "";  // "LINUX", "LINUX32"
  Strings flags;
};

struct Linux {
  std::vector<LinuxIDMapping> uidMappings;
  std::vector<LinuxIDMapping> gidMappings;
  Map<std::string_view> sysctl;
  std::optional<LinuxResources> resources;
  std::string_view cgroupsPath = "";
  std::vector<LinuxNamespace> namespaces;
  std::vector<LinuxDevice> devices;
  Map<LinuxNetDevice> netDevices;  // key: name on the host
  std::optional<LinuxSeccomp> seccomp;
  std::string_view rootfsPropagation = "";
  Strings maskedPaths;
  Strings readonlyPaths;
  std::string_view mountLabel = "";
  std::optional<LinuxIntelRdt> intelRdt;
  std::optional<LinuxMemoryPolicy> memoryPolicy;
  std::optional<LinuxPersonality> personality;
  Map<LinuxTimeOffset> timeOffsets;  // key: monotonic, boottime
};

// ---- vm (parsed so that a wrong type is told; a namespace runtime does not use it)
// ---------------

struct VMHypervisor {
  std::string_view path = "";
  Strings parameters;
};

struct VMKernel {
  std::string_view path = "";
  Strings parameters;
  std::string_view initrd = "";
};

struct VMImage {
  std::string_view path = "";
  std::string_view format = "";  // raw qcow2 vdi vmdk vhd
};

struct IOMems {
  std::optional<uint64_t> firstGFN;
  uint64_t firstMFN = 0;
  uint64_t nrMFNs = 0;
};

struct HWConfig {
  std::string_view deviceTree = "";
  std::optional<uint32_t> vcpus;
  std::optional<uint64_t> memory;  // bytes
  Strings dtdevs;
  std::vector<IOMems> iomems;
  std::vector<uint32_t> irqs;
};

struct VM {
  std::optional<VMHypervisor> hypervisor;
  VMKernel kernel;
  std::optional<VMImage> image;
  std::optional<HWConfig> hwConfig;
};

// ---- the whole ---------------------------------------------------------------------------------

struct Spec {
  std::string_view ociVersion = "";
  std::optional<Process> process;
  std::optional<Root> root;
  std::string_view hostname = "";
  std::string_view domainname = "";
  std::vector<Mount> mounts;
  std::optional<Hooks> hooks;
  Map<std::string_view> annotations;
  std::optional<Linux> linux;
  std::optional<VM> vm;
};

// The value of an annotation or of another string map, or "" if it is not there.
inline std::string_view find(const Map<std::string_view>& map, std::string_view key) {
  for (const auto& [name, value] : map) {
    if (name == key) return value;
  }
  return "";
}

// The namespace entry of that type ("pid", "user", ...), or null. A null means: inherit.
const LinuxNamespace* find_namespace(const Spec& spec, std::string_view type);

// True if a mount with these options is a bind mount (config.md: "if it has either bind or rbind
// in the options", whatever the type says).
bool is_bind(const Mount& mount);

}  // namespace coracle::spec
