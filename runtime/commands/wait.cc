#include <cerrno>

#include "runtime/cgroup/fs.h"
#include "runtime/commands/container_cgroup.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/store/exit_record.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using spec::cat;
using spec::Error;
using store::Container;
using store::Exit;

struct WaitOptions {
  std::string_view format = "text";
};

constexpr Option kOptions[] = {
    option<&WaitOptions::format>("format", 'f', "text|json",
                                 "the form of the output; text: the exit status alone (default)"),
};

// What the container's cgroup knows of its whole life; empty where there is none, or where it went
// with the container before it could be read.
struct Usage {
  std::optional<uint64_t> user_usec;
  std::optional<uint64_t> system_usec;
  std::optional<uint64_t> memory_peak;  // bytes
  std::optional<bool> oom_killed;
};

// The number behind `key` in a flat keyed file (cgroup-v2.rst), or the whole of one without keys.
std::optional<uint64_t> number_in(const cgroup::Cgroup& cgroup, const char* file,
                                  std::string_view key) {
  std::string text;
  // No such controller, or the cgroup is gone: unknown, and so it is shown.
  if (!cgroup.dir || sys::read_file(cgroup.dir, file, text) < 0) return std::nullopt;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (key.empty()) return spec::parse_number(line);
    if (line.starts_with(key) && line.substr(key.size()).starts_with(' '))
      return spec::parse_number(line.substr(key.size() + 1));
  }
  return std::nullopt;
}

Usage usage_of(const cgroup::Cgroup& cgroup) {
  Usage usage;
  usage.user_usec = number_in(cgroup, "cpu.stat", "user_usec");
  usage.system_usec = number_in(cgroup, "cpu.stat", "system_usec");
  usage.memory_peak = number_in(cgroup, "memory.peak", "");
  if (auto kills = number_in(cgroup, "memory.events", "oom_kill")) usage.oom_killed = *kills > 0;
  return usage;
}

cgroup::Cgroup cgroup_of(const store::Record& record) {
  if (record.cgroup_path.empty()) return {};
  return cgroup::try_open(cgroup::open_mount(), record.cgroup_path);
}

// For `state`, unless the container is gone by now, or another has its id.
void keep(const std::string& root, const Container& seen, const Exit& exit) {
  const std::optional<Container> now = Container::open_for_removal(root, seen.id());
  if (!now || !now->has_record() || now->record().created != seen.record().created) return;
  if (!store::load_exit(*now)) store::save_exit(*now, exit);
}

void print_exit(const Container& container, const Exit& exit, const Usage& usage,
                std::string_view format) {
  if (format == "text") return print(cat(exit.code, "\n"));
  spec::JsonWriter json(spec::JsonStyle::kCompact);
  json.begin_object().add("id", container.id()).add("code", exit.code);
  if (exit.signal != 0) json.add("signal", exit.signal);
  if (exit.oom_killed) json.add("oomKilled", *exit.oom_killed);
  json.add("time", exit.time).key("usage").begin_object();
  if (usage.user_usec) json.add("userUsec", *usage.user_usec);
  if (usage.system_usec) json.add("systemUsec", *usage.system_usec);
  if (usage.memory_peak) json.add("memoryPeak", *usage.memory_peak);
  json.end_object().end_object();
  print(json.take() + "\n");
}

[[noreturn]] void fail_unseen(const Container& container) {
  throw Error(cat("container ", container.id(),
                  " has ended, and its exit status is not known: nobody waited for it with "
                  "`wait`, `run --keep` or the shim (before Linux 6.15 only its parent can)"));
}

int wait_for(const Globals& globals, const WaitOptions& options, const Words& words) {
  const std::string root = globals.state_root().path;
  const Container container = Container::open(root, words[0]);
  const cgroup::Cgroup cgroup = cgroup_of(container.record());
  const sys::Fd pidfd = container.pidfd();
  std::optional<Exit> exit = store::load_exit(container);
  if (!exit) {
    int status = 0;
    const int r =
        pidfd ? wait_for_status(pidfd, container.record().process, status) : -pidfd.error();
    if (r == -ESRCH || r == -ENODATA) {
      exit = store::load_exit(container);  // by its parent, at the same time
      if (!exit) fail_unseen(container);
    } else if (r) {
      throw Error(cat("wait for ", container.id()), r);
    } else {
      exit = store::exit_of(status);
      exit->oom_killed = usage_of(cgroup).oom_killed;
      keep(root, container, *exit);
    }
  }
  print_exit(container, *exit, usage_of(cgroup), options.format);
  return 0;
}

}  // namespace

constexpr Command kWait = {
    .name = "wait",
    .arguments = "ID",
    .summary = "Wait until a container has ended and tell how",
    .details =
        "Prints the exit status of its first process, or 128 plus the number of the signal that "
        "ended it; `state` shows it from then on. Who is not the parent learns it on Linux 6.15 "
        "and newer.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<WaitOptions, wait_for>,
};

}  // namespace coracle::commands
