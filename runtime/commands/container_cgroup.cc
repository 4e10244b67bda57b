#include "runtime/commands/container_cgroup.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::Error;

cgroup::Cgroup open_cgroup(const store::Record& record, std::string_view verb) {
  if (record.cgroup_path.empty()) {
    throw Error(spec::cat(verb, " needs a cgroup, and this container was made without one"));
  }
  return cgroup::open(cgroup::open_mount(), record.cgroup_path);
}

std::vector<pid_t> processes(const store::Record& record, std::string_view verb) {
  try {
    return cgroup::pids(open_cgroup(record, verb), true);
  } catch (const Error& error) {
    if (error.code() == ENOENT) return {};  // deleted, or the machine was rebooted
    throw;
  }
}

void signal_all(const store::Record& record, int signal) {
  std::vector<std::pair<pid_t, sys::Fd>> targets;
  for (pid_t pid : processes(record, "kill --all")) targets.emplace_back(pid, sys::pidfd_open(pid));
  // Who is still in the cgroup after the pidfd was opened is the one it was opened for.
  std::vector<pid_t> still = processes(record, "kill --all");
  for (auto& [pid, pidfd] : targets) {
    if (!pidfd || !std::binary_search(still.begin(), still.end(), pid)) continue;
    int r = sys::pidfd_send_signal(pidfd, signal);
    if (r && r != -ESRCH) throw Error(spec::cat("send signal to process ", pid), r);
  }
}

}  // namespace coracle::commands
