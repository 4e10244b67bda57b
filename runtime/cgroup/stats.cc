#include "runtime/cgroup/stats.h"

#include <cerrno>
#include <charconv>

#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::cgroup {
namespace {

using spec::cat;
using spec::Error;

// Everything up to the next `separator`, which is taken away with it.
std::string_view take(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text = end == text.npos ? "" : text.substr(end + 1);
  return part;
}

uint64_t number(std::string_view text) {
  if (text.substr(0, 3) == "max") return kUnlimited;
  uint64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

// "1.25" as 125.
uint64_t hundredths(std::string_view text) {
  const uint64_t whole = number(take(text, '.'));
  const uint64_t part = number(text.substr(0, 2));
  return whole * 100 + (text.size() == 1 ? part * 10 : part);
}

// False if there is no such file, or the kernel does not fill it (EOPNOTSUPP: built with pressure
// information, booted without).
bool read(const Cgroup& cgroup, std::string_view file, std::string& text) {
  const int r = sys::read_file(cgroup.dir, std::string(file).c_str(), text);
  if (r == 0) return true;
  if (r == -ENOENT || r == -EOPNOTSUPP) return false;
  throw Error(cat("cannot read ", file, " of cgroup ", cgroup.path), r);
}

uint64_t read_number(const Cgroup& cgroup, std::string_view file) {
  std::string text;
  return read(cgroup, file, text) ? number(text) : 0;
}

// Calls `use(key, value)` for each line "key value".
template <typename Use>
void read_pairs(const Cgroup& cgroup, std::string_view file, Use use) {
  std::string text;
  if (!read(cgroup, file, text)) return;
  for (std::string_view left = text; !left.empty();) {
    std::string_view line = take(left, '\n');
    const std::string_view key = take(line, ' ');
    use(key, number(line));
  }
}

void read_pressure(std::string_view line, Pressure& out) {
  while (!line.empty()) {
    std::string_view field = take(line, ' ');
    const std::string_view key = take(field, '=');
    if (key == "avg10") out.avg10 = hundredths(field);
    if (key == "avg60") out.avg60 = hundredths(field);
    if (key == "avg300") out.avg300 = hundredths(field);
    if (key == "total") out.total = number(field);
  }
}

Psi read_psi(const Cgroup& cgroup, std::string_view file) {
  Psi psi;
  std::string text;
  psi.known = read(cgroup, file, text);
  for (std::string_view left = text; !left.empty();) {
    std::string_view line = take(left, '\n');
    const std::string_view kind = take(line, ' ');
    if (kind == "some") read_pressure(line, psi.some);
    if (kind == "full") read_pressure(line, psi.full);
  }
  return psi;
}

void read_cpu(const Cgroup& cgroup, Stats& out) {
  constexpr uint64_t kNsPerUs = 1000;
  read_pairs(cgroup, "cpu.stat", [&](std::string_view key, uint64_t value) {
    if (key == "usage_usec") out.cpu_total = value * kNsPerUs;
    if (key == "user_usec") out.cpu_user = value * kNsPerUs;
    if (key == "system_usec") out.cpu_kernel = value * kNsPerUs;
    if (key == "nr_periods") out.periods = value;
    if (key == "nr_throttled") out.throttled_periods = value;
    if (key == "throttled_usec") out.throttled_time = value * kNsPerUs;
  });
  out.cpu_psi = read_psi(cgroup, "cpu.pressure");
}

// "0-2,7": 0 1 2 7.
std::vector<uint16_t> read_list(const Cgroup& cgroup, std::string_view file) {
  std::vector<uint16_t> out;
  std::string text;
  if (!read(cgroup, file, text)) return out;
  std::string_view line = text;
  for (std::string_view left = take(line, '\n'); !left.empty();) {
    std::string_view range = take(left, ',');
    const uint64_t first = number(take(range, '-'));
    const uint64_t last = range.empty() ? first : number(range);
    for (uint64_t i = first; i <= last && i <= UINT16_MAX; ++i) {
      out.push_back(static_cast<uint16_t>(i));
    }
  }
  return out;
}

void read_memory(const Cgroup& cgroup, Stats& out) {
  read_pairs(cgroup, "memory.stat", [&](std::string_view key, uint64_t value) {
    out.memory_raw.emplace_back(key, value);
    if (key == "file") out.cache = value;
  });
  out.memory_psi = read_psi(cgroup, "memory.pressure");
  if (out.memory_raw.empty()) return;  // no memory controller, so none of the rest either
  out.memory = {read_number(cgroup, "memory.max"), read_number(cgroup, "memory.current"),
                read_number(cgroup, "memory.peak"), 0};
  read_pairs(cgroup, "memory.events", [&](std::string_view key, uint64_t value) {
    if (key == "max") out.memory.failcnt = value;
  });
  std::string current;
  if (!read(cgroup, "memory.swap.current", current)) return;
  // cgroup v1 counted memory and swap together, and that is what the reader takes it for. Of the
  // two peaks there is no sum.
  const uint64_t limit = read_number(cgroup, "memory.swap.max");
  const bool unlimited = limit == kUnlimited || out.memory.limit == kUnlimited;
  out.swap.limit = unlimited ? kUnlimited : limit + out.memory.limit;
  out.swap.usage = number(current) + out.memory.usage;
}

void read_io(const Cgroup& cgroup, Stats& out) {
  out.io_psi = read_psi(cgroup, "io.pressure");
  std::string text;
  if (!read(cgroup, "io.stat", text)) return;
  for (std::string_view left = text; !left.empty();) {
    std::string_view line = take(left, '\n');
    std::string_view name = take(line, ' ');
    DeviceIo device;
    device.major = number(take(name, ':'));
    device.minor = number(name);
    if (line.empty()) continue;  // a device without any I/O by this cgroup
    while (!line.empty()) {
      std::string_view field = take(line, ' ');
      const std::string_view key = take(field, '=');
      if (key == "rbytes") device.read_bytes = number(field);
      if (key == "wbytes") device.write_bytes = number(field);
      if (key == "rios") device.reads = number(field);
      if (key == "wios") device.writes = number(field);
    }
    out.io.push_back(device);
  }
}

// The page sizes are those of the files "hugetlb.SIZE.current".
void read_hugetlb(const Cgroup& cgroup, Stats& out) {
  constexpr std::string_view kPrefix = "hugetlb.";
  constexpr std::string_view kSuffix = ".current";
  std::vector<sys::DirEntry> entries;
  if (int r = sys::list_dir(cgroup.dir, ".", entries)) {
    throw Error(cat("cannot list cgroup ", cgroup.path), r);
  }
  for (const sys::DirEntry& entry : entries) {
    const std::string_view name = entry.name;
    if (name.size() <= kPrefix.size() + kSuffix.size() || !name.starts_with(kPrefix) ||
        !name.ends_with(kSuffix)) {
      continue;
    }
    const std::string_view size =
        name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    if (size.find('.') != size.npos) continue;  // hugetlb.2MB.rsvd.current
    Usage usage;
    std::string reserved;
    // What is reserved counts, as it is what can fail; not all architectures have it.
    usage.usage = read(cgroup, cat(kPrefix, size, ".rsvd.current"), reserved)
                      ? number(reserved)
                      : read_number(cgroup, name);
    read_pairs(cgroup, cat(kPrefix, size, ".events"), [&](std::string_view key, uint64_t value) {
      if (key == "max") usage.failcnt = value;
    });
    out.hugetlb.emplace_back(size, usage);
  }
}

}  // namespace

Stats read_stats(const Cgroup& cgroup) {
  Stats out;
  read_cpu(cgroup, out);
  out.cpus = read_list(cgroup, "cpuset.cpus.effective");
  out.mems = read_list(cgroup, "cpuset.mems.effective");
  read_memory(cgroup, out);
  out.pids = read_number(cgroup, "pids.current");
  const uint64_t limit = read_number(cgroup, "pids.max");
  out.pids_limit = limit == kUnlimited ? 0 : limit;
  read_io(cgroup, out);
  read_hugetlb(cgroup, out);
  return out;
}

}  // namespace coracle::cgroup
