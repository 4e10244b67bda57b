#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/cgroup/stats.h"
#include "runtime/cgroup/watch.h"
#include "runtime/commands/container_cgroup.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/messages.h"
#include "runtime/store/container.h"
#include "runtime/sys/event.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using cgroup::Watch;
using spec::cat;
using spec::Error;
using store::Status;

constexpr std::string_view kDigits = "0123456789";

struct Unit {
  std::string_view name;
  double ms;
};
// Go's time.ParseDuration; the two in between are micro sign and Greek mu.
constexpr Unit kUnits[] = {
    {"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"\xce\xbcs", 1e-3},
    {"ms", 1},    {"s", 1000},  {"m", 60e3},         {"h", 3600e3},
};

// A time of at least one millisecond, rounded up.
struct Interval {
  int ms = 5000;
};

// Takes "1.5" off the front.
double take_number(std::string_view& text) {
  constexpr const char* kExpected = "expected a time like 5s, 500ms or 1m30s";
  const size_t whole = std::min(text.find_first_not_of(kDigits), text.size());
  double number = 0;
  for (char digit : text.substr(0, whole)) number = number * 10 + (digit - '0');
  text.remove_prefix(whole);
  size_t part = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    part = std::min(text.find_first_not_of(kDigits), text.size());
    double place = 1;
    for (char digit : text.substr(0, part)) number += (digit - '0') * (place /= 10);
    text.remove_prefix(part);
  }
  if (whole + part == 0) throw Error(kExpected);
  return number;
}

double take_unit(std::string_view& text) {
  const size_t length = std::min(text.find_first_of("0123456789."), text.size());
  const std::string_view name = text.substr(0, length);
  text.remove_prefix(length);
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return unit.ms;
  }
  if (name.empty()) throw Error("the unit is missing: expected a time like 5s, 500ms or 1m30s");
  throw Error(cat("unknown unit ", spec::quoted(name), "; there are ns, us, ms, s, m and h"));
}

void assign(Interval& out, std::string_view text) {
  if (text.starts_with('-') || text == "0") throw Error("must be greater than 0");
  if (text.starts_with('+')) text.remove_prefix(1);
  double ms = 0;
  do {
    const double number = take_number(text);
    ms += number * take_unit(text);
  } while (!text.empty());
  if (ms <= 0) throw Error("must be greater than 0");
  if (ms > std::numeric_limits<int>::max()) throw Error("is too long; at most 596h");
  out.ms = static_cast<int>(std::ceil(ms));
}

struct EventsOptions {
  Interval interval;
  bool stats = false;
};

constexpr Option kOptions[] = {
    option<&EventsOptions::interval>("interval", 0, "TIME",
                                     "time between two statistics, as 500ms or 1m (default: 5s)"),
    option<&EventsOptions::stats>("stats", 0, nullptr, "print statistics once, and end"),
};

std::string stats_line(std::string_view id, const cgroup::Cgroup& cgroup) {
  return cgroup::stats_event(id, cgroup::read_stats(cgroup)) + "\n";
}

// Prints OOM events until the monotonic time `until`. False: the container has ended.
bool tell_ooms(Watch& watch, std::string_view id, int64_t until) {
  for (;;) {
    const int64_t left = std::max<int64_t>(0, until - sys::monotonic_ms());
    switch (watch.wait(static_cast<int>(left))) {
      case Watch::Event::kOom:
        print(cgroup::oom_event(id) + "\n");
        break;
      case Watch::Event::kTimeout:
        return true;
      case Watch::Event::kEmpty:
        return false;
    }
  }
}

// Prints statistics unless the cgroup has gone while they were read. False: it has.
bool tell_stats(Watch& watch, std::string_view id, const cgroup::Cgroup& cgroup) {
  std::string line;
  try {
    line = stats_line(id, cgroup);
  } catch (const Error&) {
    if (!tell_ooms(watch, id, 0)) return false;
    throw;
  }
  if (!tell_ooms(watch, id, 0)) return false;
  print(line);
  return true;
}

int events(const Globals& globals, const EventsOptions& options, const Words& words) {
  const auto container = store::Container::open(globals.state_root().path, words[0]);
  const Status status = container.status();
  if (status == Status::kStopped || status == Status::kCreating) {
    throw Error(cat(messages::kNotRunning, ": ", container.id()));
  }
  const cgroup::Cgroup cgroup = open_cgroup(container.record(), "events");
  if (options.stats) {
    print(stats_line(container.id(), cgroup));
    return 0;
  }
  Watch watch(cgroup);
  int64_t next = sys::monotonic_ms() + options.interval.ms;
  while (tell_ooms(watch, container.id(), next) && tell_stats(watch, container.id(), cgroup)) {
    // A reader that was slow gets no backlog.
    next = std::max(next + options.interval.ms, sys::monotonic_ms());
  }
  return 0;
}

}  // namespace

constexpr Command kEvents = {
    .name = "events",
    .arguments = "ID",
    .summary = "Tell of a container's OOM kills and statistics until it ends",
    .details = "Each event is a line of JSON.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<EventsOptions, events>,
};

}  // namespace coracle::commands
