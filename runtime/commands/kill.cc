#include <signal.h>

#include <cerrno>

#include "runtime/commands/container_cgroup.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/commands/pattern.h"
#include "runtime/messages.h"
#include "runtime/store/container.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using store::Status;

struct KillOptions {
  bool all = false;
  bool regex = false;
};

constexpr Option kOptions[] = {
    option<&KillOptions::all>("all", 'a', nullptr,
                              "signal every process of the container; none left is fine"),
    option<&KillOptions::regex>("regex", 'r', nullptr,
                                "ID is an extended regular expression: each one that matches"),
};

[[noreturn]] void fail_not_running(const store::Container& container) {
  throw spec::Error(spec::cat(messages::kNotRunning, ": ", container.id()));
}

void signal_first(const store::Container& container, int signal) {
  sys::Fd pidfd = container.pidfd();
  int r = pidfd ? sys::pidfd_send_signal(pidfd, signal) : -pidfd.error();
  if (r == -ESRCH) fail_not_running(container);
  if (r) throw spec::Error(spec::cat("kill ", container.id()), r);
}

void signal_every(const store::Container& container, int signal) {
  if (signal == SIGKILL) {
    cgroup::kill_all(open_cgroup(container.record(), "kill --all"));
  } else {
    signal_all(container.record(), signal);
  }
}

// Whether the signal goes to every process by way of the cgroup. Without a pid namespace of its
// own, the end of the first process ends no other: SIGKILL is then for all of them, as callers mean
// the container. With one, the kernel does it, cgroup or not.
bool is_for_all(const store::Record& record, bool asked, int signal) {
  bool has_cgroup = !record.cgroup_path.empty();
  if (asked) return has_cgroup || !(record.own_pids && signal == SIGKILL);
  return has_cgroup && !record.own_pids && signal == SIGKILL;
}

void kill_one(const std::string& root, std::string_view id, bool all, int signal) {
  auto container = store::Container::open_locked(root, id);
  const store::Record& record = container.record();
  Status status = container.status();
  const bool everyone = is_for_all(record, all, signal);
  if (status == Status::kStopped || status == Status::kCreating) {
    // Some may outlive the first one; without a cgroup nobody knows.
    const bool survivors = !record.cgroup_path.empty() && !processes(record, "kill --all").empty();
    if (!survivors && all) return;
    if (!survivors || !everyone || (status == Status::kCreating && !all))
      fail_not_running(container);
  }
  if (everyone) {
    signal_every(container, signal);
  } else {
    signal_first(container, signal);
  }
}

int kill_container(const Globals& globals, const KillOptions& options, const Words& words) {
  const int signal = spec::parse_signal(words.size() > 1 ? words[1] : "SIGTERM");
  const store::RootChoice root = globals.state_root();
  if (options.regex) {
    for_each_match(root, words[0],
                   [&](const std::string& id) { kill_one(root.path, id, options.all, signal); });
  } else {
    kill_one(root.path, words[0], options.all, signal);
  }
  return 0;
}

}  // namespace

constexpr Command kKill = {
    .name = "kill",
    .arguments = "ID [SIGNAL]",
    .summary = "Send a signal to the first process of a container",
    .details = "SIGNAL is a name, with or without SIG, or a number; without it, SIGTERM.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 2,
    .run = parse_and_run<KillOptions, kill_container>,
    .stop_at_first_argument = true,
};

}  // namespace coracle::commands
