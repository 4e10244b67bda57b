#include <algorithm>
#include <string>

#include "runtime/plan/unit.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::plan {
namespace {

using spec::cat;
using Properties = std::vector<UnitProperty>;

constexpr uint64_t kInfinity = UINT64_MAX;  // org.freedesktop.systemd1(5)
constexpr uint64_t kSecond = 1000000;       // us
constexpr uint64_t kQuotaStep = 10000;      // us: systemd rounds to 1 % of a processor
constexpr uint32_t kMaxCpu = 8191;          // NR_CPUS at most, on the architectures we run on
constexpr uint32_t kCpusetSince = 244;
constexpr uint32_t kPeriodSince = 242;
constexpr uint32_t kIdleSince = 252;
constexpr uint32_t kOomPolicySince = 253;  // of scopes

// What the kernel takes and we cannot read is left to the kernel: no property is made of it.
std::optional<uint64_t> amount(std::string_view text) {
  if (text == "max") return kInfinity;
  return spec::parse_number(text);
}

struct Context {
  Properties& out;
  const std::string& origin;
  uint32_t version;

  void add(std::string name, std::string type, std::vector<uint64_t> numbers,
           std::vector<std::string> strings = {}) const {
    out.push_back(
        {std::move(name), std::move(type), std::move(numbers), std::move(strings), origin});
  }
};

void add_amount(const Context& c, const char* name, std::string_view value) {
  if (const auto n = amount(value)) c.add(name, "t", {*n});
}

void add_tasks(const Context& c, std::string_view value) {
  // systemd knows no limit of 0.
  if (const auto n = amount(value)) c.add("TasksMax", "t", {std::max<uint64_t>(*n, 1)});
}

// 0 stands for "idle", which has a row of its own.
void add_weight(const Context& c, std::string_view value) {
  const auto n = spec::parse_number(value, 10000);
  if (n && *n > 0) c.add("CPUWeight", "t", {*n});
}

void add_idle(const Context& c, std::string_view value) {
  if (value == "1" && c.version >= kIdleSince) c.add("CPUWeight", "t", {0});
}

// "QUOTA PERIOD", "max PERIOD" or either alone (cgroup-v2.rst, "cpu.max").
void add_bandwidth(const Context& c, std::string_view value) {
  const size_t space = value.find(' ');
  const auto quota = amount(value.substr(0, space));
  const auto period = space == value.npos ? std::optional<uint64_t>(100000)
                                          : spec::parse_number(value.substr(space + 1), kSecond);
  if (!quota || !period || *period == 0) return;
  uint64_t per_second = kInfinity;
  if (*quota < kInfinity / kSecond) {
    per_second = *quota * kSecond / *period;
    per_second = (per_second + kQuotaStep - 1) / kQuotaStep * kQuotaStep;
  }
  c.add("CPUQuotaPerSecUSec", "t", {per_second});
  if (c.version >= kPeriodSince) c.add("CPUQuotaPeriodUSec", "t", {*period});
}

// A bit for each CPU or node, the lowest in the first byte.
void add_set(const Context& c, const char* name, std::string_view value) {
  if (c.version < kCpusetSince) return;
  const auto ranges = spec::parse_number_list(value);
  if (!ranges) return;
  std::vector<uint64_t> bytes;
  for (const auto& [first, last] : spec::merge_ranges(*ranges)) {
    if (last > kMaxCpu || first > last) return;
    bytes.resize(std::max<size_t>(bytes.size(), last / 8 + 1));
    for (uint32_t i = first; i <= last; ++i) bytes[i / 8] |= uint64_t{1} << (i % 8);
  }
  c.add(name, "ay", std::move(bytes));
}

std::string device_path(std::string_view numbers) { return cat("/dev/block/", numbers); }

// "500" or "default 500" for all devices, "8:0 500" for one.
void add_io_weight(const Context& c, std::string_view line) {
  const size_t space = line.find(' ');
  const auto weight = spec::parse_number(line.substr(space == line.npos ? 0 : space + 1), 10000);
  if (!weight || *weight == 0) return;
  const std::string_view device = space == line.npos ? "" : line.substr(0, space);
  if (device.empty() || device == "default") {
    c.add("IOWeight", "t", {*weight});
  } else {
    c.add("IODeviceWeight", "a(st)", {*weight}, {device_path(device)});
  }
}

// "8:0 rbps=1000 wiops=max"
void add_io_max(const Context& c, std::string_view line) {
  static constexpr std::pair<std::string_view, const char*> kRates[] = {
      {"rbps", "IOReadBandwidthMax"},
      {"wbps", "IOWriteBandwidthMax"},
      {"riops", "IOReadIOPSMax"},
      {"wiops", "IOWriteIOPSMax"},
  };
  const std::string_view device = line.substr(0, line.find(' '));
  line.remove_prefix(device.size());
  while (!line.empty()) {
    line.remove_prefix(1);
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    const size_t equals = word.find('=');
    for (const auto& [key, property] : kRates) {
      if (equals == word.npos || word.substr(0, equals) != key) continue;
      if (const auto rate = amount(word.substr(equals + 1)))
        c.add(property, "a(st)", {*rate}, {device_path(device)});
    }
  }
}

void add_oom_policy(const Context& c, std::string_view value) {
  if (c.version < kOomPolicySince || (value != "0" && value != "1")) return;
  c.add("OOMPolicy", "s", {}, {value == "1" ? "kill" : "continue"});
}

void add_line(const Context& c, std::string_view file, std::string_view value) {
  static constexpr std::pair<std::string_view, const char*> kAmounts[] = {
      {"memory.max", "MemoryMax"},          {"memory.low", "MemoryLow"},
      {"memory.high", "MemoryHigh"},        {"memory.min", "MemoryMin"},
      {"memory.swap.max", "MemorySwapMax"},
  };
  for (const auto& [name, property] : kAmounts)
    if (file == name) return add_amount(c, property, value);
  if (file == "memory.zswap.max" && c.version >= 253) return add_amount(c, "MemoryZSwapMax", value);
  if (file == "memory.oom.group") return add_oom_policy(c, value);
  if (file == "pids.max") return add_tasks(c, value);
  if (file == "cpu.weight") return add_weight(c, value);
  if (file == "cpu.idle") return add_idle(c, value);
  if (file == "cpu.max") return add_bandwidth(c, value);
  if (file == "cpuset.cpus") return add_set(c, "AllowedCPUs", value);
  if (file == "cpuset.mems") return add_set(c, "AllowedMemoryNodes", value);
  if (file == "io.weight") return add_io_weight(c, value);
  if (file == "io.max") return add_io_max(c, value);
}

}  // namespace

Properties limit_properties(const std::vector<LimitWrite>& writes, uint32_t version) {
  Properties out;
  for (const LimitWrite& write : writes) {
    const Context context{out, write.origin, version};
    std::string_view file = write.file;
    std::string_view value = write.value;
    if (write.flags & kCgroupFirstFile) {  // systemd knows the last of them: io.weight
      file = file.substr(file.rfind('\n') + 1);
      value = value.substr(value.rfind('\n') + 1);
    }
    while (!value.empty()) {
      const std::string_view line = value.substr(0, value.find('\n'));
      add_line(context, file, line);
      value.remove_prefix(std::min(value.size(), line.size() + 1));
    }
  }
  return out;
}

std::string unit_value_text(std::string_view type, const uint64_t* numbers, size_t number_count,
                            const std::vector<std::string_view>& strings) {
  if (type == "b") return numbers[0] ? "true" : "false";
  if (type == "i" || type == "x") return cat(static_cast<int64_t>(numbers[0]));
  std::string out;
  for (std::string_view string : strings) {
    spec::append(out, out.empty() ? "" : " ", spec::quoted(string));
  }
  for (size_t i = 0; i < number_count; ++i) {
    spec::append(out, out.empty() ? "" : " ");
    if (numbers[i] == kInfinity) {
      out += "infinity";
    } else {
      spec::append(out, numbers[i]);
    }
  }
  return out;
}

}  // namespace coracle::plan
