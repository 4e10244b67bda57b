#include <unistd.h>

#include "runtime/cgroup/resctrl.h"
#include "runtime/commands/input.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/container/limits.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/store/container.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace coracle::commands {
namespace {

using spec::cat;
using spec::Error;
using store::Status;

// Values of options; an empty word leaves them unset, as engines pass on options of theirs that
// were not given.
template <class T>
struct Number {
  std::optional<T> value;
};

struct Size {  // bytes, -1: unlimited
  std::optional<int64_t> value;
};

template <class T>
void assign(Number<T>& out, std::string_view text) {
  if (text.empty()) return;
  const bool negative = std::is_signed_v<T> && text.front() == '-';
  auto number = spec::parse_number(text.substr(negative ? 1 : 0),
                                   static_cast<uint64_t>(std::numeric_limits<T>::max()));
  if (!number) throw Error("expected a number");
  const T value = static_cast<T>(*number);
  out.value = negative ? static_cast<T>(-value) : value;
}

void assign(Size& out, std::string_view text) {
  if (!text.empty()) out.value = spec::parse_size(text);
}

struct UpdateOptions {
  std::string_view resources;
  Size memory;
  Size memory_reservation;
  Size memory_swap;
  Size kernel_memory;
  Size kernel_memory_tcp;
  Number<uint64_t> cpu_share;
  Number<int64_t> cpu_quota;
  Number<uint64_t> cpu_period;
  Number<uint64_t> cpu_burst;
  Number<int64_t> cpu_idle;
  Number<int64_t> cpu_rt_runtime;
  Number<uint64_t> cpu_rt_period;
  std::string_view cpuset_cpus;
  std::string_view cpuset_mems;
  Number<int64_t> pids_limit;
  Number<uint16_t> blkio_weight;
  std::string_view l3_cache_schema;
  std::string_view mem_bw_schema;
};

using O = UpdateOptions;
constexpr Option kOptions[] = {
    option<&O::resources>("resources", 'r', "FILE",
                          "limits as JSON, the form of linux.resources (-: standard input)"),
    option<&O::memory>("memory", 0, "SIZE", "memory limit"),
    option<&O::memory_reservation>("memory-reservation", 0, "SIZE",
                                   "memory that is not reclaimed while others can give some"),
    option<&O::memory_swap>("memory-swap", 0, "SIZE", "limit of memory and swap together"),
    option<&O::kernel_memory>("kernel-memory", 0, "SIZE", "ignored with a warning"),
    option<&O::kernel_memory_tcp>("kernel-memory-tcp", 0, "SIZE", "ignored with a warning"),
    option<&O::cpu_share>("cpu-share", 0, "N", "share of the processors, 2 to 262144"),
    option<&O::cpu_quota>("cpu-quota", 0, "US", "processor time in a period (-1: unlimited)"),
    option<&O::cpu_period>("cpu-period", 0, "US", "length of a period"),
    option<&O::cpu_burst>("cpu-burst", 0, "US", "time saved up that may go beyond the quota"),
    option<&O::cpu_idle>("cpu-idle", 0, "0|1", "1: only run what nobody else wants to use"),
    option<&O::cpu_rt_runtime>("cpu-rt-runtime", 0, "US", "refused unless 0: not in cgroup v2"),
    option<&O::cpu_rt_period>("cpu-rt-period", 0, "US", "refused unless 0: not in cgroup v2"),
    option<&O::cpuset_cpus>("cpuset-cpus", 0, "LIST", "processors to use, as 0-2,7"),
    option<&O::cpuset_mems>("cpuset-mems", 0, "LIST", "memory nodes to use"),
    option<&O::pids_limit>("pids-limit", 0, "N", "number of tasks (-1: unlimited)"),
    option<&O::blkio_weight>("blkio-weight", 0, "N", "share of block I/O, 10 to 1000"),
    option<&O::l3_cache_schema>("l3-cache-schema", 0, "SCHEMA", "cache allocation (intelRdt)"),
    option<&O::mem_bw_schema>("mem-bw-schema", 0, "SCHEMA", "memory bandwidth (intelRdt)"),
};

spec::LinuxResources from_options(const UpdateOptions& options) {
  spec::LinuxResources resources;
  spec::LinuxMemory& memory = resources.memory.emplace();
  memory.limit = options.memory.value;
  memory.reservation = options.memory_reservation.value;
  memory.swap = options.memory_swap.value;
  memory.kernel = options.kernel_memory.value;
  memory.kernelTCP = options.kernel_memory_tcp.value;
  spec::LinuxCPU& cpu = resources.cpu.emplace();
  cpu.shares = options.cpu_share.value;
  cpu.quota = options.cpu_quota.value;
  cpu.period = options.cpu_period.value;
  cpu.burst = options.cpu_burst.value;
  cpu.idle = options.cpu_idle.value;
  cpu.realtimeRuntime = options.cpu_rt_runtime.value;
  cpu.realtimePeriod = options.cpu_rt_period.value;
  cpu.cpus = options.cpuset_cpus;
  cpu.mems = options.cpuset_mems;
  resources.pids.emplace().limit = options.pids_limit.value;
  resources.blockIO.emplace().weight = options.blkio_weight.value;
  return resources;
}

store::Container open_live(const std::string& root, std::string_view id) {
  auto container = store::Container::open_locked(root, id);
  const Status status = container.status();
  if (status == Status::kStopped || status == Status::kCreating) {
    throw Error(cat("cannot update: ", messages::kNotRunning, ": ", id));
  }
  return container;
}

void apply(const store::Container& container, const spec::Document& document) {
  try {
    container::change_limits(container.record(), document.resources());
  } catch (Error& error) {
    document.locate(error);
    throw;
  }
}

void check_schemas(const store::Record& record, std::string_view l3, std::string_view bandwidth) {
  if (l3.empty() && bandwidth.empty()) return;
  if (record.intel_rdt_group.empty())
    throw Error(cat("cannot update cache or memory bandwidth: container ", record.id,
                    " was made without linux.intelRdt"));
  spec::LinuxIntelRdt rdt;
  rdt.l3CacheSchema = l3;
  rdt.memBwSchema = bandwidth;
  spec::Warnings warnings;
  spec::validate_intel_rdt(rdt, warnings);
  for (const std::string& warning : warnings) log::warning(warning);
}

int update(const Globals& globals, const UpdateOptions& options, const Words& words) {
  std::optional<spec::Document> document;
  if (!options.resources.empty()) {
    // Before the lock is taken: whoever writes to the pipe may take his time.
    const std::string path(options.resources);
    document = spec::Document::parse_resources(read_input(path), input_name(path));
    for (const std::string& warning : document->near_misses()) log::warning(warning);
  }
  const store::Container container = open_live(globals.state_root().path, words[0]);
  const auto [l3, bandwidth] = std::pair(options.l3_cache_schema, options.mem_bw_schema);
  check_schemas(container.record(), l3, bandwidth);
  if (document) {
    apply(container, *document);
  } else {
    container::change_limits(container.record(), from_options(options));
  }
  for (std::string_view line : {l3, bandwidth})
    if (!line.empty()) cgroup::write_schemata(container.record().intel_rdt_group, {line});
  return 0;
}

}  // namespace

constexpr Command kUpdate = {
    .name = "update",
    .arguments = "ID",
    .summary = "Change the limits of a container",
    .details =
        "Limits that are not named stay as they are, and so do device rules. SIZE is in bytes, or\n"
        "with a unit (512M); -1 is unlimited. With --resources, the other limits are not looked "
        "at.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<UpdateOptions, update>,
};

}  // namespace coracle::commands
