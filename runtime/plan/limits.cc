#include "runtime/plan/limits.h"

#include <algorithm>
#include <cmath>

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {
namespace {

using spec::cat;
using spec::Error;

constexpr uint64_t kDefaultPeriod = 100000;  // cpu.max, us (cgroup-v2.rst)
constexpr uint64_t kDefaultSwappiness = 60;  // vm.swappiness (admin-guide/sysctl/vm.rst)

// "" for a file that every cgroup has: the core's own, and the pressure files.
std::string_view controller_of(std::string_view file) {
  file = file.substr(0, file.find('\n'));
  constexpr std::string_view kPressure = ".pressure";
  if (file.size() > kPressure.size() && file.substr(file.size() - kPressure.size()) == kPressure) {
    return "";
  }
  std::string_view name = file.substr(0, file.find('.'));
  return name == "cgroup" ? "" : name;
}

// Collects the writes and knows which controllers there are.
struct Limits {
  const std::vector<std::string>& available;
  Warnings& warnings;
  std::vector<LimitWrite> writes = {};

  bool has(std::string_view controller) const {
    return controller.empty() ||
           std::find(available.begin(), available.end(), controller) != available.end();
  }
  void add(std::string origin, std::string file, std::string value, uint32_t flags = 0);
};

void Limits::add(std::string origin, std::string file, std::string value, uint32_t flags) {
  std::string_view controller = controller_of(file);
  if (!has(controller)) {
    if (flags & kCgroupIgnoreMissing) return;
    std::string_view shown = std::string_view(file).substr(file.rfind('\n') + 1);
    throw Error::at(std::move(origin),
                    cat("cannot set ", shown, ": this host has no cgroup v2 controller ",
                        spec::quoted(controller)));
  }
  writes.push_back({std::move(file), std::move(value), flags, std::move(origin)});
}

// 0: unset, -1: unlimited; else bytes.
int64_t bytes(const std::optional<int64_t>& value, std::string_view key) {
  int64_t n = value.value_or(0);
  if (n < -1) {
    throw Error::at(cat("linux.resources.memory.", key),
                    cat(n, " is no size; -1 stands for unlimited"));
  }
  return n;
}

void add_bytes(Limits& out, std::string_view key, std::string_view file, int64_t value) {
  std::string origin = cat("linux.resources.memory.", key);
  if (value == -1) {
    out.add(std::move(origin), std::string(file), "max", kCgroupIgnoreMissing);
  } else if (value > 0) {
    out.add(std::move(origin), std::string(file), cat(value));
  }
}

// The specification's swap is memory and swap together, memory.swap.max is swap alone.
void add_swap(Limits& out, int64_t limit, const std::optional<int64_t>& given) {
  const std::string path = "linux.resources.memory.swap";
  int64_t swap = bytes(given, "swap");
  // Said and 0: no swap, which a kernel without swap accounting grants as well (crun).
  if (given == 0) return out.add(path, "memory.swap.max", "0", kCgroupIgnoreMissing);
  // Unlimited memory has always meant unlimited swap as well, where nothing else is said.
  if (limit == -1 && swap == 0) swap = -1;
  if (swap <= 0 || limit == -1) return add_bytes(out, "swap", "memory.swap.max", swap);
  if (limit == 0) throw Error::at(path, "unable to set swap limit without memory limit");
  if (swap < limit) {
    throw Error::at(path, cat("memory+swap limit ", swap, " is below the memory limit ", limit));
  }
  // Without swap accounting in the kernel there is no swap to forbid.
  const uint32_t flags = swap == limit ? kCgroupIgnoreMissing : 0;
  out.add(path, "memory.swap.max", cat(swap - limit), flags);
}

void add_memory(Limits& out, const spec::LinuxMemory& m) {
  const std::string path = "linux.resources.memory.";
  if (m.swappiness && *m.swappiness != kDefaultSwappiness) {
    throw Error::at(path + "swappiness", "cgroup v2 has no swappiness");
  }
  if (m.disableOOMKiller && *m.disableOOMKiller) {
    throw Error::at(path + "disableOOMKiller", "the OOM killer cannot be disabled on cgroup v2");
  }
  // useHierarchy: cgroup v2 always accounts hierarchically; there is nothing to set.
  if (m.kernel.value_or(0) > 0 || m.kernelTCP.value_or(0) > 0) {
    out.warnings.push_back(
        "linux.resources.memory: kernel memory limits do not exist on cgroup v2"
        " and are ignored");
  }
  const int64_t limit = bytes(m.limit, "limit");
  add_swap(out, limit, m.swap);
  add_bytes(out, "limit", "memory.max", limit);
  add_bytes(out, "reservation", "memory.low", bytes(m.reservation, "reservation"));
}

// A limit of 0 is written as 1, as runc does and as systemd asks for (TasksMax=1): the container
// has its one process either way, and no second.
void add_pids(Limits& out, const spec::LinuxPids& pids) {
  if (!pids.limit) return;
  const bool unlimited = *pids.limit < 0;
  const int64_t limit = std::max<int64_t>(*pids.limit, 1);
  out.add("linux.resources.pids.limit", "pids.max", unlimited ? "max" : cat(limit),
          unlimited ? kCgroupIgnoreMissing : 0);
}

// Burst may not exceed the quota in force, so neither order of the two is right in `update`: burst
// goes first where the old quota allows it (quota and burst shrink), and again after the quota.
void add_bandwidth(Limits& out, const spec::LinuxCPU& cpu) {
  const int64_t quota = cpu.quota.value_or(0);
  const uint64_t period = cpu.period.value_or(0);
  const bool writes_max = quota != 0 || period != 0;
  const std::string burst_path = "linux.resources.cpu.burst";
  if (cpu.burst && quota > 0 && *cpu.burst > static_cast<uint64_t>(quota)) {
    throw Error::at(burst_path, cat("burst ", *cpu.burst, " exceeds the quota ", quota));
  }
  const uint32_t burst_flags = cpu.burst.value_or(0) == 0 ? kCgroupIgnoreMissing : 0;
  if (cpu.burst) {
    out.add(burst_path, "cpu.max.burst", cat(*cpu.burst),
            burst_flags | (writes_max ? kCgroupIgnoreInvalid : 0));
  }
  if (!writes_max) return;
  out.add(quota != 0 ? "linux.resources.cpu.quota" : "linux.resources.cpu.period", "cpu.max",
          cat(quota > 0 ? cat(quota) : "max", ' ', period != 0 ? period : kDefaultPeriod),
          quota > 0 ? 0 : kCgroupIgnoreMissing);
  if (cpu.burst) out.add(burst_path, "cpu.max.burst", cat(*cpu.burst), burst_flags);
}

void add_cpu(Limits& out, const spec::LinuxCPU& cpu) {
  const std::string path = "linux.resources.cpu.";
  if (cpu.realtimeRuntime.value_or(0) != 0) {
    throw Error::at(path + "realtimeRuntime", "cgroup v2 has no realtime limits");
  }
  if (cpu.realtimePeriod.value_or(0) != 0) {
    throw Error::at(path + "realtimePeriod", "cgroup v2 has no realtime limits");
  }
  const bool idle = cpu.idle.value_or(0) != 0;
  if (cpu.idle) {
    out.add(path + "idle", "cpu.idle", cat(*cpu.idle), idle ? 0 : kCgroupIgnoreMissing);
  }
  // An idle cgroup has no weight; the kernel refuses to set one (EINVAL).
  if (cpu.shares.value_or(0) != 0 && !idle) {
    out.add(path + "shares", "cpu.weight", cat(weight_of_shares(*cpu.shares)));
  }
  add_bandwidth(out, cpu);
}

void add_cpuset(Limits& out, const spec::LinuxCPU& cpu) {
  if (!cpu.cpus.empty()) {
    out.add("linux.resources.cpu.cpus", "cpuset.cpus", std::string(cpu.cpus));
  }
  if (!cpu.mems.empty()) {
    out.add("linux.resources.cpu.mems", "cpuset.mems", std::string(cpu.mems));
  }
}

// BFQ has a weight file of its own with the old scale; it wins where it exists.
void add_weight(Limits& out, const std::string& path, std::string_view device, uint64_t weight) {
  if (weight == 0) return;  // Docker sends 0 for "not set", always
  if (weight < 10 || weight > 1000) {
    throw Error::at(path, cat("weight ", weight, " is out of range 10 to 1000"));
  }
  out.add(path, "io.bfq.weight\nio.weight", cat(device, weight, '\n', device, io_weight(weight)),
          kCgroupFirstFile);
}

void add_throttle(Limits& out, std::string_view key, std::string_view what,
                  const std::vector<spec::LinuxThrottleDevice>& devices) {
  for (size_t i = 0; i < devices.size(); ++i) {
    const auto& d = devices[i];
    // The kernel knows no rate of 0; on cgroup v1 a 0 removed the limit.
    out.add(cat("linux.resources.blockIO.", key, '[', i, ']'), "io.max",
            cat(d.major, ':', d.minor, ' ', what, '=', d.rate == 0 ? "max" : cat(d.rate)),
            d.rate == 0 ? kCgroupIgnoreMissing : 0);
  }
}

void add_block_io(Limits& out, const spec::LinuxBlockIO& io) {
  const std::string path = "linux.resources.blockIO.";
  constexpr std::string_view kNoLeafWeight = "cgroup v2 has no leaf weights";
  if (io.leafWeight.value_or(0) != 0) {
    throw Error::at(path + "leafWeight", std::string(kNoLeafWeight));
  }
  add_weight(out, path + "weight", "", io.weight.value_or(0));
  for (size_t i = 0; i < io.weightDevice.size(); ++i) {
    const auto& d = io.weightDevice[i];
    const std::string item = cat(path, "weightDevice[", i, ']');
    if (d.leafWeight.value_or(0) != 0) {
      throw Error::at(item + ".leafWeight", std::string(kNoLeafWeight));
    }
    add_weight(out, item + ".weight", cat(d.major, ':', d.minor, ' '), d.weight.value_or(0));
  }
  add_throttle(out, "throttleReadBpsDevice", "rbps", io.throttleReadBpsDevice);
  add_throttle(out, "throttleWriteBpsDevice", "wbps", io.throttleWriteBpsDevice);
  add_throttle(out, "throttleReadIOPSDevice", "riops", io.throttleReadIOPSDevice);
  add_throttle(out, "throttleWriteIOPSDevice", "wiops", io.throttleWriteIOPSDevice);
}

// "2MB", "1GB": config-linux.md, "<size><unit-prefix>B".
bool is_page_size(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  if (digits == 0 || text[0] == '0') return false;
  std::string_view unit = text.substr(digits);
  return unit == "KB" || unit == "MB" || unit == "GB";
}

void add_hugepages(Limits& out, const std::vector<spec::LinuxHugepageLimit>& limits) {
  for (size_t i = 0; i < limits.size(); ++i) {
    const std::string path = cat("linux.resources.hugepageLimits[", i, ']');
    std::string_view size = limits[i].pageSize;
    if (!is_page_size(size)) {
      throw Error::at(path + ".pageSize", cat(spec::quoted(size), " is no page size like 2MB"));
    }
    const std::string value = cat(limits[i].limit);
    out.add(path, cat("hugetlb.", size, ".max"), value);
    // Reservations are limited apart since Linux 5.7, where the architecture has them.
    out.add(path, cat("hugetlb.", size, ".rsvd.max"), value, kCgroupIgnoreMissing);
  }
}

void add_rdma(Limits& out, const spec::Map<spec::LinuxRdma>& devices) {
  for (const auto& [name, limit] : devices) {
    const std::string path = cat("linux.resources.rdma[", spec::quoted(name), ']');
    if (!limit.hcaHandles && !limit.hcaObjects) {
      throw Error::at(path, "needs hcaHandles or hcaObjects");
    }
    if (name.empty() || name.find_first_of(" \t\n") != name.npos) {
      throw Error::at(path, "is no device name");
    }
    std::string line(name);
    if (limit.hcaHandles) spec::append(line, " hca_handle=", *limit.hcaHandles);
    if (limit.hcaObjects) spec::append(line, " hca_object=", *limit.hcaObjects);
    out.add(path, "rdma.max", std::move(line));
  }
}

void refuse_network(const std::optional<spec::LinuxNetwork>& network) {
  if (!network) return;
  const std::string path = "linux.resources.network.";
  if (network->classID.value_or(0) != 0) {
    throw Error::at(path + "classID", "cgroup v2 has no network classes");
  }
  if (!network->priorities.empty()) {
    throw Error::at(path + "priorities", "cgroup v2 has no network priorities");
  }
}

// Whether a file sets a limit or a weight, by its name (cgroup-v2.rst, "Core Interface Files" and
// those of each controller): not one that reports, acts once (memory.reclaim), or moves, freezes or
// ends processes.
bool is_limit(std::string_view file) {
  constexpr std::string_view kOthers[] = {"capacity", "current", "effective", "events",
                                          "isolated", "local",   "numa_stat", "peak",
                                          "pressure", "reclaim", "stat"};
  if (file.starts_with("cgroup.")) return file.starts_with("cgroup.max.");
  const std::string_view last = file.substr(file.rfind('.') + 1);
  return std::find(std::begin(kOthers), std::end(kOthers), last) == std::end(kOthers);
}

void add_unified(Limits& out, const spec::Map<std::string_view>& unified) {
  for (const auto& [file, value] : unified) {
    const std::string name = cat("unified resource ", spec::quoted(file));
    const std::string path = cat("linux.resources.unified[", spec::quoted(file), ']');
    if (file.find('/') != file.npos) {
      throw Error::at(path, name + " must be a file name (no slashes)");
    }
    const size_t dot = file.find('.');
    if (dot == 0 || dot == file.npos || dot + 1 == file.size() || file.find('\n') != file.npos) {
      throw Error::at(path, name + " must be in the form CONTROLLER.PARAMETER");
    }
    if (!is_limit(file)) throw Error::at(path, name + " is not a limit");
    std::string_view controller = controller_of(file);
    if (!out.has(controller)) {
      throw Error::at(path, cat(name, " can't be set: controller ", spec::quoted(controller),
                                " not available"));
    }
    out.add(path, std::string(file), std::string(value), kCgroupPerLine);
  }
}

}  // namespace

std::vector<LimitWrite> limit_writes(const spec::LinuxResources& r,
                                     const std::vector<std::string>& available,
                                     Warnings& warnings) {
  Limits out{available, warnings};
  refuse_network(r.network);
  if (r.pids) add_pids(out, *r.pids);
  if (r.memory) add_memory(out, *r.memory);
  if (r.blockIO) add_block_io(out, *r.blockIO);
  if (r.cpu) add_cpu(out, *r.cpu);
  if (r.cpu) add_cpuset(out, *r.cpu);
  add_hugepages(out, r.hugepageLimits);
  add_rdma(out, r.rdma);
  add_unified(out, r.unified);
  return std::move(out.writes);
}

std::vector<std::string_view> needed_controllers(const std::vector<LimitWrite>& writes) {
  std::vector<std::string_view> names;
  for (const LimitWrite& write : writes) {
    if (write.flags & kCgroupIgnoreMissing) continue;
    std::string_view name = controller_of(write.file);
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) continue;
    names.push_back(name);
  }
  return names;
}

uint64_t weight_of_shares(uint64_t shares) {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const double l = std::log2(static_cast<double>(shares));
  const double exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
  return static_cast<uint64_t>(std::ceil(std::pow(10, exponent)));
}

uint64_t io_weight(uint64_t blkio_weight) { return 1 + (blkio_weight - 10) * 9999 / 990; }

}  // namespace coracle::plan
