// `process` (config.md, "Process").

#include "spec/capabilities.h"
#include "spec/ids.h"
#include "spec/validate_internal.h"

namespace coracle::spec {
namespace {

constexpr uint32_t kNoId = UINT32_MAX;  // (uid_t)-1, "no change" to setresuid(2)

// "at least one entry is REQUIRED (non-Windows)"
void validate_arguments(const Process& process) {
  if (process.args.empty()) fail("process.args", "must have at least one entry");
  if (process.args[0].empty()) fail("process.args[0]", "must not be empty");
  // "This value MUST be an absolute path."
  if (!is_absolute(process.cwd)) fail("process.cwd", "must be an absolute path");
}

// "the same semantics as IEEE Std 1003.1-2008's environ": strings of the form name=value.
void validate_environment(const Process& process) {
  for (size_t i = 0; i < process.env.size(); ++i) {
    size_t equals = process.env[i].find('=');
    if (equals == std::string_view::npos || equals == 0) {
      fail(Where("process.env")[i], "expected NAME=value");
    }
  }
}

// "Runtimes MUST ignore consoleSize if terminal is false or unset"; TIOCSWINSZ has 16 bits.
void validate_console(const Process& process) {
  if (!process.terminal || !process.consoleSize) return;
  if (process.consoleSize->height > UINT16_MAX) fail("process.consoleSize.height", "above 65535");
  if (process.consoleSize->width > UINT16_MAX) fail("process.consoleSize.width", "above 65535");
}

void validate_user(const User& user) {
  auto check = [](uint32_t id, const Where& where) {
    if (id == kNoId) fail(where, "4294967295 is not an id");
  };
  Where groups = "process.user.additionalGids";
  check(user.uid, "process.user.uid");
  check(user.gid, "process.user.gid");
  for (size_t i = 0; i < user.additionalGids.size(); ++i) {
    check(user.additionalGids[i], groups[i]);
  }
  if (user.umask && *user.umask > 0777) fail("process.user.umask", "above 511 (octal 777)");
}

// "MUST generate an error for any values which cannot be mapped to a relevant kernel interface";
// "If rlimits contains duplicated entries with same type, the runtime MUST generate an error."
void validate_rlimits(const std::vector<POSIXRlimit>& limits) {
  uint32_t seen = 0;
  Where list = "process.rlimits";
  for (size_t i = 0; i < limits.size(); ++i) {
    Where where = list[i];
    auto number = rlimit_number(limits[i].type);
    if (!number) fail(where / "type", cat("unknown resource limit ", quoted(limits[i].type)));
    if (seen >> *number & 1) fail(where / "type", cat(limits[i].type, " is given twice"));
    seen |= 1u << *number;
    // setrlimit(2): EINVAL
    if (limits[i].soft > limits[i].hard) fail(where / "soft", "above the hard limit");
  }
}

// sched_setattr(2): priority 1 to 99 for the real-time policies, 0 for all others.
void validate_priority(const Scheduler& s) {
  const bool real_time = s.policy == "SCHED_FIFO" || s.policy == "SCHED_RR";
  if (!real_time && s.priority != 0) {
    fail("process.scheduler.priority", cat(s.priority, " is not possible with ", s.policy));
  }
  if (real_time && (s.priority < 1 || s.priority > 99)) {
    fail("process.scheduler.priority",
         cat(s.policy, " needs a priority from 1 to 99, not ", s.priority));
  }
}

struct Time {
  const char* path;
  uint64_t value;  // ns
};

// sched(7): 1024 ns <= runtime <= deadline <= period, where a period of 0 means the deadline. The
// kernel keeps the highest bit for itself.
void validate_times(const Time& runtime, const Time& deadline, const Time& period) {
  constexpr uint64_t kMost = INT64_MAX;
  if (deadline.value == 0) fail(deadline.path, "required with SCHED_DEADLINE");
  for (const Time& time : {runtime, deadline, period}) {
    if (time.value > kMost) fail(time.path, cat(time.value, " is above ", kMost));
  }
  if (runtime.value < 1024) {
    fail(runtime.path, cat("SCHED_DEADLINE needs at least 1024 ns, not ", runtime.value));
  }
  if (runtime.value > deadline.value) {
    fail(runtime.path, cat(runtime.value, " is above the deadline, ", deadline.value));
  }
  if (period.value != 0 && deadline.value > period.value) {
    fail(deadline.path, cat(deadline.value, " is above the period, ", period.value));
  }
}

void validate_deadline(const Scheduler& s) {
  const Time runtime{"process.scheduler.runtime", s.runtime};
  const Time deadline{"process.scheduler.deadline", s.deadline};
  const Time period{"process.scheduler.period", s.period};
  if (s.policy == "SCHED_DEADLINE") return validate_times(runtime, deadline, period);
  for (const Time& time : {runtime, deadline, period}) {
    if (time.value != 0) {
      fail(time.path, cat(time.value, " needs the policy SCHED_DEADLINE, not ", s.policy));
    }
  }
}

void validate_scheduler(const Scheduler& scheduler) {
  check_name(kSchedulerPolicies, scheduler.policy, "process.scheduler.policy");
  check_names(kSchedulerFlags, scheduler.flags, "process.scheduler.flags");
  if (scheduler.nice < -20 || scheduler.nice > 19) {
    fail("process.scheduler.nice", cat(scheduler.nice, " is not from -20 to 19"));
  }
  validate_priority(scheduler);
  validate_deadline(scheduler);
}

// "an integer ranging from 0 (highest) to 7 (lowest)"
void validate_io_priority(const LinuxIOPriority& io) {
  check_name(kIoPriorityClasses, io.class_, "process.ioPriority.class");
  if (io.priority < 0 || io.priority > 7) fail("process.ioPriority.priority", "not from 0 to 7");
}

// "a comma-separated list, with dashes to represent ranges"
void validate_affinity(const CPUAffinity& affinity) {
  auto check = [](std::string_view list, const char* path) {
    if (!list.empty() && !parse_number_list(list)) {
      fail(path, cat("invalid CPU list ", quoted(list)));
    }
  };
  check(affinity.initial, "process.execCPUAffinity.initial");
  check(affinity.final, "process.execCPUAffinity.final");
}

}  // namespace

void validate_process(const Process& process, Warnings& warnings) {
  validate_arguments(process);
  validate_environment(process);
  validate_console(process);
  validate_user(process.user);
  validate_rlimits(process.rlimits);
  if (process.capabilities) {
    resolve_capabilities(*process.capabilities, process.user.uid == 0, warnings);
  }
  // proc(5): OOM_SCORE_ADJ_MIN and _MAX
  if (process.oomScoreAdj && (*process.oomScoreAdj < -1000 || *process.oomScoreAdj > 1000)) {
    fail("process.oomScoreAdj", "not from -1000 to 1000");
  }
  if (process.scheduler) validate_scheduler(*process.scheduler);
  if (process.ioPriority) validate_io_priority(*process.ioPriority);
  if (process.execCPUAffinity) validate_affinity(*process.execCPUAffinity);
}

}  // namespace coracle::spec
