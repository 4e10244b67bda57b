// `linux.resources` (config-linux.md, "Control groups"), for cgroup v2.

#include <set>

#include "spec/ids.h"
#include "spec/validate_internal.h"

namespace coracle::spec {
namespace {

constexpr const char* kNoCounterpart = "cgroup v2 has no counterpart";

// "Values for memory specify the limit in bytes, or -1 for unlimited memory."
void check_limit(const std::optional<int64_t>& value, const char* path) {
  if (value && *value < -1) fail(path, "below -1");
}

void validate_device_rules(const std::vector<LinuxDeviceCgroup>& rules) {
  constexpr std::string_view kTypes[] = {"", "a", "b", "c"};
  Where list = "linux.resources.devices";
  for (size_t i = 0; i < rules.size(); ++i) {
    const LinuxDeviceCgroup& rule = rules[i];
    Where where = list[i];
    if (!contains(kTypes, rule.type)) {
      fail(where / "type", cat("expected a, b or c, not ", quoted(rule.type)));
    }
    if (rule.major && *rule.major < -1) fail(where / "major", "below -1");
    if (rule.minor && *rule.minor < -1) fail(where / "minor", "below -1");
    // "A composition of r (read), w (write), and m (mknod)." A rule about no access says nothing.
    if (rule.access.empty() || rule.access.find_first_not_of("rwm") != rule.access.npos) {
      fail(where / "access", "expected one or more of r, w and m");
    }
  }
}

// The swap limit of the specification is memory and swap together.
void validate_swap(const LinuxMemory& memory) {
  int64_t limit = memory.limit.value_or(0);
  int64_t swap = memory.swap.value_or(0);
  if (swap <= 0) return;
  if (limit <= 0) fail("linux.resources.memory.swap", "needs a memory limit");
  if (swap < limit) fail("linux.resources.memory.swap", "below the memory limit it includes");
}

void validate_memory(const LinuxMemory& memory, bool partial, Warnings& warnings) {
  check_limit(memory.limit, "linux.resources.memory.limit");
  check_limit(memory.reservation, "linux.resources.memory.reservation");
  check_limit(memory.swap, "linux.resources.memory.swap");
  if (!partial) validate_swap(memory);
  // "NOT RECOMMENDED": the kernel accounts this memory to the one limit.
  if (memory.kernel || memory.kernelTCP) {
    warn(warnings, "linux.resources.memory", "kernel and kernelTCP are ignored on cgroup v2");
  }
  constexpr uint64_t kDefaultSwappiness = 60;
  if (memory.swappiness && *memory.swappiness > 100) {
    fail("linux.resources.memory.swappiness", "not from 0 to 100");
  }
  if (memory.swappiness && *memory.swappiness != kDefaultSwappiness) {
    fail("linux.resources.memory.swappiness", kNoCounterpart);
  }
  if (memory.disableOOMKiller.value_or(false)) {
    fail("linux.resources.memory.disableOOMKiller", kNoCounterpart);
  }
  // cgroup v2 always accounts hierarchically.
  if (!memory.useHierarchy.value_or(true)) {
    fail("linux.resources.memory.useHierarchy", "cgroup v2 cannot account without hierarchy");
  }
}

void validate_bandwidth(const LinuxCPU& cpu, bool partial) {
  check_limit(cpu.quota, "linux.resources.cpu.quota");
  // kernel/sched/core.c: min_cfs_quota_period and max_cfs_quota_period; 0 means unset.
  uint64_t period = cpu.period.value_or(0);
  if (period != 0 && (period < 1000 || period > 1'000'000)) {
    fail("linux.resources.cpu.period", "not from 1000 to 1000000 microseconds");
  }
  int64_t quota = cpu.quota.value_or(0);
  if (quota > 0 && quota < 1000) fail("linux.resources.cpu.quota", "below 1000 microseconds");
  // "this value MUST be no larger than any positive quota"
  uint64_t burst = cpu.burst.value_or(0);
  if (!partial && quota > 0 && burst > static_cast<uint64_t>(quota)) {
    fail("linux.resources.cpu.burst", "above the quota");
  }
}

void validate_cpu(const LinuxCPU& cpu, bool partial) {
  validate_bandwidth(cpu, partial);
  if (cpu.realtimeRuntime.value_or(0) != 0) {
    fail("linux.resources.cpu.realtimeRuntime", kNoCounterpart);
  }
  if (cpu.realtimePeriod.value_or(0) != 0) {
    fail("linux.resources.cpu.realtimePeriod", kNoCounterpart);
  }
  // "0: default behavior, 1: SCHED_IDLE"
  if (cpu.idle && *cpu.idle != 0 && *cpu.idle != 1) fail("linux.resources.cpu.idle", "not 0 or 1");
  auto check_list = [](std::string_view list, const char* path) {
    if (!list.empty() && !parse_number_list(list)) fail(path, cat("invalid list ", quoted(list)));
  };
  check_list(cpu.cpus, "linux.resources.cpu.cpus");
  check_list(cpu.mems, "linux.resources.cpu.mems");
}

// 10 to 1000 is the range of cgroup v1 that the conversion to v2 starts from; 0 means unset.
void check_weight(const std::optional<uint16_t>& weight, const Where& where) {
  if (weight && *weight != 0 && (*weight < 10 || *weight > 1000)) {
    fail(where, "not from 10 to 1000");
  }
}

void check_device_number(int64_t major, int64_t minor, const Where& where) {
  if (major < 0) fail(where / "major", "below 0");
  if (minor < 0) fail(where / "minor", "below 0");
}

void check_leaf_weight(const std::optional<uint16_t>& weight, const Where& where) {
  if (weight.value_or(0) != 0) fail(where, kNoCounterpart);
}

void validate_weights(const LinuxBlockIO& io) {
  check_weight(io.weight, "linux.resources.blockIO.weight");
  check_leaf_weight(io.leafWeight, "linux.resources.blockIO.leafWeight");
  Where list = "linux.resources.blockIO.weightDevice";
  for (size_t i = 0; i < io.weightDevice.size(); ++i) {
    const LinuxWeightDevice& device = io.weightDevice[i];
    Where where = list[i];
    check_device_number(device.major, device.minor, where);
    // "You MUST specify at least one of weight or leafWeight in a given entry"
    if (!device.weight && !device.leafWeight) fail(where, "needs weight or leafWeight");
    check_weight(device.weight, where / "weight");
    check_leaf_weight(device.leafWeight, where / "leafWeight");
  }
}

void validate_throttles(const std::vector<LinuxThrottleDevice>& devices, const Where& where) {
  for (size_t i = 0; i < devices.size(); ++i) {
    check_device_number(devices[i].major, devices[i].minor, where[i]);
  }
}

void validate_block_io(const LinuxBlockIO& io) {
  validate_weights(io);
  validate_throttles(io.throttleReadBpsDevice, "linux.resources.blockIO.throttleReadBpsDevice");
  validate_throttles(io.throttleWriteBpsDevice, "linux.resources.blockIO.throttleWriteBpsDevice");
  validate_throttles(io.throttleReadIOPSDevice, "linux.resources.blockIO.throttleReadIOPSDevice");
  validate_throttles(io.throttleWriteIOPSDevice, "linux.resources.blockIO.throttleWriteIOPSDevice");
}

// The schema's ^[1-9][0-9]*[KMG]B$
bool is_page_size(std::string_view size) {
  if (size.size() < 3 || size[0] == '0' || !size.ends_with('B')) return false;
  std::string_view digits = size.substr(0, size.size() - 2);
  return digits.find_first_not_of("0123456789") == digits.npos &&
         std::string_view("KMG").find(size[size.size() - 2]) != std::string_view::npos;
}

void validate_huge_pages(const std::vector<LinuxHugepageLimit>& limits) {
  Where list = "linux.resources.hugepageLimits";
  std::set<std::string_view> sizes;
  for (size_t i = 0; i < limits.size(); ++i) {
    Where limit = list[i];
    Where where = limit / "pageSize";
    if (!is_page_size(limits[i].pageSize)) {
      fail(where, cat("expected a size like 2MB, not ", quoted(limits[i].pageSize)));
    }
    if (!sizes.insert(limits[i].pageSize).second) {
      fail(where, cat(limits[i].pageSize, " is given twice"));
    }
  }
}

// net_cls and net_prio are controllers of cgroup v1 only; what amounts to "unset" is let through.
void validate_network(const LinuxNetwork& network) {
  if (network.classID.value_or(0) != 0) fail("linux.resources.network.classID", kNoCounterpart);
  if (!network.priorities.empty()) fail("linux.resources.network.priorities", kNoCounterpart);
}

// "You MUST specify at least one of the hcaHandles or hcaObjects in a given entry."
void validate_rdma(const Map<LinuxRdma>& devices) {
  for (const auto& [name, limits] : devices) {
    if (!limits.hcaHandles && !limits.hcaObjects) {
      fail(Where("linux.resources.rdma") / name, "needs hcaHandles or hcaObjects");
    }
    // The kernel's file takes one device a line, its name up to the first space.
    if (name.empty() || name.find_first_of(" \t\n") != name.npos) {
      fail(Where("linux.resources.rdma") / name, "not a name of a device");
    }
  }
}

// "Each key in the map refers to a file in the cgroup unified hierarchy": CONTROLLER.PARAMETER,
// in the container's own directory.
void validate_unified(const Map<std::string_view>& files) {
  for (const auto& [name, value] : files) {
    size_t dot = name.find('.');
    bool good = dot != name.npos && dot > 0 && dot + 1 < name.size() &&
                name.find_first_of("/\n") == name.npos;
    if (!good) {
      fail(Where("linux.resources.unified") / name, "expected a file name like memory.high");
    }
  }
}

}  // namespace

void validate_resources(const LinuxResources& resources, bool partial, Warnings& warnings) {
  validate_device_rules(resources.devices);
  if (resources.memory) validate_memory(*resources.memory, partial, warnings);
  if (resources.cpu) validate_cpu(*resources.cpu, partial);
  // "with -1 indicating no limit"; "0 is a valid limit value"
  if (resources.pids) check_limit(resources.pids->limit, "linux.resources.pids.limit");
  if (resources.blockIO) validate_block_io(*resources.blockIO);
  validate_huge_pages(resources.hugepageLimits);
  if (resources.network) validate_network(*resources.network);
  validate_rdma(resources.rdma);
  validate_unified(resources.unified);
}

}  // namespace coracle::spec
