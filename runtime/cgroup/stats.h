// What a container's cgroup has used: the files of cgroup v2, and the JSON of `events`.
//
// A file that is not there (its controller is not enabled) leaves its numbers at zero; that is what
// the JSON's readers expect.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/cgroup/fs.h"

namespace coracle::cgroup {

inline constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

// One line of a pressure file (accounting/psi.rst).
struct Pressure {
  uint64_t avg10 = 0;  // hundredths of a percent of the time
  uint64_t avg60 = 0;
  uint64_t avg300 = 0;
  uint64_t total = 0;  // microseconds
};
struct Psi {
  bool known = false;  // false: this kernel does not keep it
  Pressure some;
  Pressure full;
};

struct Usage {         // bytes
  uint64_t limit = 0;  // kUnlimited: none
  uint64_t usage = 0;
  uint64_t max = 0;  // the highest so far (Linux 5.19; swap: 6.5)
  uint64_t failcnt = 0;
};

struct DeviceIo {
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t read_bytes = 0;
  uint64_t write_bytes = 0;
  uint64_t reads = 0;
  uint64_t writes = 0;
};

struct Stats {
  // Times in nanoseconds.
  uint64_t cpu_total = 0;
  uint64_t cpu_user = 0;
  uint64_t cpu_kernel = 0;
  uint64_t periods = 0;
  uint64_t throttled_periods = 0;
  uint64_t throttled_time = 0;
  Psi cpu_psi;

  std::vector<uint16_t> cpus;  // that the cgroup may use
  std::vector<uint16_t> mems;

  Usage memory;
  Usage swap;          // memory and swap together, as cgroup v1 counted
  uint64_t cache = 0;  // bytes
  std::vector<std::pair<std::string, uint64_t>> memory_raw;  // memory.stat
  Psi memory_psi;

  uint64_t pids = 0;
  uint64_t pids_limit = 0;  // 0: none

  std::vector<DeviceIo> io;
  Psi io_psi;

  std::vector<std::pair<std::string, Usage>> hugetlb;  // by page size, "2MB"
};

// Throws spec::Error if a file cannot be read that is there.
Stats read_stats(const Cgroup& cgroup);

// {"type":"stats","id":ID,"data":{...}} on one line, without the line feed.
std::string stats_event(std::string_view id, const Stats& stats);
// {"type":"oom","id":ID}
std::string oom_event(std::string_view id);

}  // namespace coracle::cgroup
