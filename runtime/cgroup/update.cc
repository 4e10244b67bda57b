#include "runtime/cgroup/update.h"

#include <cerrno>
#include <charconv>
#include <string>

#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::cgroup {
namespace {

// "" where there is no such file: then there is no limit either.
std::string read(const Cgroup& cgroup, const char* file) {
  std::string text;
  const int r = sys::read_file(cgroup.dir, file, text);
  if (r < 0 && r != -ENOENT) {
    throw spec::Error(spec::cat("cannot read ", file, " of cgroup ", cgroup.path), r);
  }
  return text;
}

// -1 for "max" and for nothing at all.
int64_t number(std::string_view text) {
  int64_t n = -1;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

void complete_cpu(const Cgroup& cgroup, spec::LinuxCPU& cpu) {
  const bool quota = cpu.quota.value_or(0) != 0;
  const bool period = cpu.period.value_or(0) != 0;
  if (quota == period) return;
  const std::string text = read(cgroup, "cpu.max");  // "max 100000"
  const size_t space = text.find(' ');
  if (space == text.npos) return;
  if (period) {
    cpu.quota = number(text);
  } else {
    cpu.period = static_cast<uint64_t>(number(std::string_view(text).substr(space + 1)));
  }
}

void complete_memory(const Cgroup& cgroup, spec::LinuxMemory& memory) {
  // In an update 0 stands for "as it is", in every peer's and in Docker's messages.
  if (memory.swap == 0) memory.swap.reset();
  if (memory.swap.value_or(0) <= 0 || memory.limit.value_or(0) != 0) return;
  const int64_t limit = number(read(cgroup, "memory.max"));
  // Without a memory limit there is nothing that a sum could be a sum with; limit_writes says so.
  if (limit > 0) memory.limit = limit;
}

// A cgroup that is idle no more has a weight of 100. This is said and not left to the kernel, for
// systemd has to know of it: else it makes the cgroup idle again at the next occasion.
void complete_idle(const Cgroup& cgroup, std::vector<plan::LimitWrite>& writes) {
  std::string origin;
  for (const plan::LimitWrite& write : writes) {
    if (write.file == "cpu.weight") return;
    if (write.file == "cpu.idle" && write.value == "0") origin = write.origin;
  }
  if (origin.empty() || number(read(cgroup, "cpu.idle")) != 1) return;
  writes.push_back({"cpu.weight", "100", 0, origin});
}

}  // namespace

spec::LinuxResources complete(const Cgroup& cgroup, const spec::LinuxResources& request) {
  spec::LinuxResources resources = request;
  if (resources.cpu) complete_cpu(cgroup, *resources.cpu);
  if (resources.memory) complete_memory(cgroup, *resources.memory);
  return resources;
}

std::vector<plan::LimitWrite> update_writes(const sys::Fd& mount, const Cgroup& cgroup,
                                            const spec::LinuxResources& request,
                                            plan::Warnings& warnings) {
  const spec::LinuxResources resources = complete(cgroup, request);
  auto writes = plan::limit_writes(resources, available_controllers(mount), warnings);
  complete_idle(cgroup, writes);
  if (request.memory) check_memory(cgroup, *request.memory);
  return writes;
}

void update(const sys::Fd& mount, const Cgroup& cgroup, const std::vector<plan::LimitWrite>& writes,
            Pass pass) {
  enable_controllers(mount, cgroup, plan::needed_controllers(writes), pass);
  for (const plan::LimitWrite& write : writes) {
    write_limit(cgroup, write.file, write.value, write.flags);
  }
}

}  // namespace coracle::cgroup
