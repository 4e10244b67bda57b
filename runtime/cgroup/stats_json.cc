// The JSON of `events` and `stats`: member names and shapes are those that go-runc decodes.

#include "runtime/cgroup/stats.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::cgroup {
namespace {

// The writer, by the shapes that these documents have; numbers are all unsigned.
class Json {
 public:
  void open(std::string_view name = "") {
    if (!name.empty()) writer_.key(name);
    writer_.begin_object();
  }
  void close() { writer_.end_object(); }
  void open_list(std::string_view name) { writer_.key(name).begin_array(); }
  void close_list() { writer_.end_array(); }
  void number(std::string_view name, uint64_t value) { writer_.add(name, value); }
  void text(std::string_view name, std::string_view value) { writer_.add(name, value); }
  void null(std::string_view name) { writer_.key(name).null(); }
  // 125 as 1.25
  void hundredths(std::string_view name, uint64_t value) {
    writer_.key(name).number(spec::cat(value / 100, '.', value / 10 % 10, value % 10));
  }
  void element(uint64_t value) { writer_.value(value); }
  std::string take() { return writer_.take(); }

 private:
  spec::JsonWriter writer_{spec::JsonStyle::kCompact};
};

void write(Json& out, std::string_view name, const Pressure& pressure) {
  out.open(name);
  out.hundredths("avg10", pressure.avg10);
  out.hundredths("avg60", pressure.avg60);
  out.hundredths("avg300", pressure.avg300);
  out.number("total", pressure.total);
  out.close();
}

void write_psi(Json& out, const Psi& psi) {
  if (!psi.known) return;
  out.open("psi");
  write(out, "some", psi.some);
  write(out, "full", psi.full);
  out.close();
}

void write(Json& out, std::string_view name, const Usage& usage) {
  out.open(name);
  out.number("limit", usage.limit);
  out.number("usage", usage.usage);
  out.number("max", usage.max);
  out.number("failcnt", usage.failcnt);
  out.close();
}

void write_cpu(Json& out, const Stats& s) {
  out.open("cpu");
  out.open("usage");
  out.number("total", s.cpu_total);
  out.number("kernel", s.cpu_kernel);
  out.number("user", s.cpu_user);
  out.close();
  out.open("throttling");
  out.number("periods", s.periods);
  out.number("throttledPeriods", s.throttled_periods);
  out.number("throttledTime", s.throttled_time);
  out.close();
  write_psi(out, s.cpu_psi);
  out.close();
}

void write_list(Json& out, std::string_view name, const std::vector<uint16_t>& list) {
  if (list.empty()) return;
  out.open_list(name);
  for (uint16_t n : list) out.element(n);
  out.close_list();
}

void write_cpuset(Json& out, const Stats& s) {
  out.open("cpuset");
  write_list(out, "cpus", s.cpus);
  write_list(out, "mems", s.mems);
  // Of cgroup v1 only, but always there.
  for (const char* name : {"cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate",
                           "memory_spread_page", "memory_spread_slab", "memory_pressure",
                           "sched_load_balance", "sched_relax_domain_level"}) {
    out.number(name, 0);
  }
  out.close();
}

void write_memory(Json& out, const Stats& s) {
  out.open("memory");
  out.number("cache", s.cache);
  write(out, "usage", s.memory);
  write(out, "swap", s.swap);
  write(out, "kernel", Usage());
  write(out, "kernelTCP", Usage());
  if (!s.memory_raw.empty()) {
    out.open("raw");
    for (const auto& [name, value] : s.memory_raw) out.number(name, value);
    out.close();
  }
  write_psi(out, s.memory_psi);
  out.close();
}

void write_io(Json& out, std::string_view name, const std::vector<DeviceIo>& devices,
              uint64_t DeviceIo::*reads, uint64_t DeviceIo::*writes) {
  if (devices.empty()) return;
  out.open_list(name);
  for (const DeviceIo& device : devices) {
    for (const bool is_read : {true, false}) {
      out.open();
      out.number("major", device.major);
      out.number("minor", device.minor);
      out.text("op", is_read ? "Read" : "Write");
      out.number("value", is_read ? device.*reads : device.*writes);
      out.close();
    }
  }
  out.close_list();
}

void write_block_io(Json& out, const Stats& s) {
  out.open("blkio");
  write_io(out, "ioServiceBytesRecursive", s.io, &DeviceIo::read_bytes, &DeviceIo::write_bytes);
  write_io(out, "ioServicedRecursive", s.io, &DeviceIo::reads, &DeviceIo::writes);
  write_psi(out, s.io_psi);
  out.close();
}

void write_hugetlb(Json& out, const Stats& s) {
  out.open("hugetlb");
  for (const auto& [size, usage] : s.hugetlb) {
    out.open(size);
    out.number("usage", usage.usage);
    out.number("max", usage.max);
    out.number("failcnt", usage.failcnt);
    out.close();
  }
  out.close();
}

void write_pids(Json& out, const Stats& s) {
  out.open("pids");
  out.number("current", s.pids);
  if (s.pids_limit != 0) out.number("limit", s.pids_limit);
  out.close();
}

}  // namespace

std::string stats_event(std::string_view id, const Stats& stats) {
  Json out;
  out.open();
  out.text("type", "stats");
  out.text("id", id);
  out.open("data");
  write_cpu(out, stats);
  write_cpuset(out, stats);
  write_memory(out, stats);
  write_pids(out, stats);
  write_block_io(out, stats);
  write_hugetlb(out, stats);
  out.open("intel_rdt");
  out.close();
  out.null("network_interfaces");
  out.close();
  out.close();
  return out.take();
}

std::string oom_event(std::string_view id) {
  Json out;
  out.open();
  out.text("type", "oom");
  out.text("id", id);
  out.close();
  return out.take();
}

}  // namespace coracle::cgroup
