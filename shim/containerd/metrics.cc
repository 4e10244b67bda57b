#include "shim/containerd/metrics.h"

#include "runtime/sys/file.h"
#include "runtime/sys/protobuf.h"
#include "spec/ids.h"

namespace coracle::shim {

using cgroup::Stats;
using sys::ProtoWriter;

namespace {

struct Row {
  std::string_view key;
  uint32_t field;
};

constexpr Row kMemoryStat[] = {
    {"anon", 1},
    {"file", 2},
    {"kernel_stack", 3},
    {"slab", 4},
    {"sock", 5},
    {"shmem", 6},
    {"file_mapped", 7},
    {"file_dirty", 8},
    {"file_writeback", 9},
    {"anon_thp", 10},
    {"inactive_anon", 11},
    {"active_anon", 12},
    {"inactive_file", 13},
    {"active_file", 14},
    {"unevictable", 15},
    {"slab_reclaimable", 16},
    {"slab_unreclaimable", 17},
    {"pgfault", 18},
    {"pgmajfault", 19},
    {"workingset_refault", 20},
    {"workingset_activate", 21},
    {"workingset_nodereclaim", 22},
    {"pgrefill", 23},
    {"pgscan", 24},
    {"pgsteal", 25},
    {"pgactivate", 26},
    {"pgdeactivate", 27},
    {"pglazyfree", 28},
    {"pglazyfreed", 29},
    {"thp_fault_alloc", 30},
    {"thp_collapse_alloc", 31},
};

constexpr Row kMemoryEvents[] = {
    {"low", 1}, {"high", 2}, {"max", 3}, {"oom", 4}, {"oom_kill", 5}, {"oom_group_kill", 6},
};

std::string read(const cgroup::Cgroup& cgroup, const char* file) {
  std::string text;
  if (sys::read_file(cgroup.dir, file, text)) return "";  // no such controller
  return text;
}

uint64_t read_number(const cgroup::Cgroup& cgroup, const char* file) {
  const std::string text = read(cgroup, file);
  if (text.starts_with("max")) return cgroup::kUnlimited;
  return spec::parse_number(text.substr(0, text.find('\n'))).value_or(0);
}

template <size_t kRows>
void put(ProtoWriter& out, const Row (&table)[kRows], std::string_view key, uint64_t value) {
  for (const Row& row : table)
    if (row.key == key) out.number(row.field, value);
}

void put_pressure(ProtoWriter& out, uint32_t field, const cgroup::Psi& psi) {
  if (!psi.known) return;
  auto line = [](const cgroup::Pressure& p) {
    constexpr double kHundredth = 0.01;
    ProtoWriter data;
    data.real(1, static_cast<double>(p.avg10) * kHundredth);
    data.real(2, static_cast<double>(p.avg60) * kHundredth);
    data.real(3, static_cast<double>(p.avg300) * kHundredth);
    return data.number(4, p.total);
  };
  out.message(field, ProtoWriter().message(1, line(psi.some)).message(2, line(psi.full)));
}

ProtoWriter pids_message(const cgroup::Cgroup& cgroup, const Stats& stats) {
  return ProtoWriter().number(1, stats.pids).number(2, read_number(cgroup, "pids.max"));
}

ProtoWriter cpu_message(const Stats& stats) {
  constexpr uint64_t kNsPerUs = 1000;
  ProtoWriter out;
  out.number(1, stats.cpu_total / kNsPerUs).number(2, stats.cpu_user / kNsPerUs);
  out.number(3, stats.cpu_kernel / kNsPerUs).number(4, stats.periods);
  out.number(5, stats.throttled_periods).number(6, stats.throttled_time / kNsPerUs);
  put_pressure(out, 7, stats.cpu_psi);
  return out;
}

ProtoWriter memory_message(const cgroup::Cgroup& cgroup, const Stats& stats) {
  ProtoWriter out;
  if (stats.memory_raw.empty()) return out;  // no memory controller
  for (const auto& [key, value] : stats.memory_raw) put(out, kMemoryStat, key, value);
  out.number(32, stats.memory.usage).number(33, stats.memory.limit);
  out.number(34, read_number(cgroup, "memory.swap.current"));
  out.number(35, read_number(cgroup, "memory.swap.max"));
  out.number(36, stats.memory.max).number(37, read_number(cgroup, "memory.swap.peak"));
  put_pressure(out, 38, stats.memory_psi);
  return out;
}

ProtoWriter events_message(const cgroup::Cgroup& cgroup) {
  ProtoWriter out;
  const std::string text = read(cgroup, "memory.events");
  for (std::string_view left = text; !left.empty();) {
    const size_t end = std::min(left.find('\n'), left.size());
    const std::string_view line = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    const size_t blank = line.find(' ');
    if (blank == line.npos) continue;
    const auto value = spec::parse_number(line.substr(blank + 1));
    put(out, kMemoryEvents, line.substr(0, blank), value.value_or(0));
  }
  return out;
}

ProtoWriter io_message(const Stats& stats) {
  ProtoWriter out;
  for (const cgroup::DeviceIo& device : stats.io) {
    ProtoWriter entry;
    entry.number(1, device.major).number(2, device.minor).number(3, device.read_bytes);
    entry.number(4, device.write_bytes).number(5, device.reads).number(6, device.writes);
    out.message(1, entry);
  }
  put_pressure(out, 2, stats.io_psi);
  return out;
}

}  // namespace

std::string metrics_of(const cgroup::Cgroup& cgroup) {
  const Stats stats = cgroup::read_stats(cgroup);
  ProtoWriter out;
  out.message(1, pids_message(cgroup, stats)).message(2, cpu_message(stats));
  out.message(4, memory_message(cgroup, stats)).message(6, io_message(stats));
  for (const auto& [size, usage] : stats.hugetlb) {
    const std::string limit = "hugetlb." + size + ".max";
    ProtoWriter page;
    page.number(1, usage.usage).number(2, read_number(cgroup, limit.c_str())).bytes(3, size);
    out.message(7, page.number(4, usage.failcnt));
  }
  return out.message(8, events_message(cgroup)).take();
}

}  // namespace coracle::shim
