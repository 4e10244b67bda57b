// Labels, scheduling and limits of the process.
#include "runtime/plan/process.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/names.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

static uint64_t need(std::optional<uint64_t> value, std::string_view origin,
                     std::string_view given) {
  if (!value) throw Error::at(std::string(origin), cat("unknown value ", spec::quoted(given)));
  return *value;
}

template <size_t kSize>
static uint64_t flag_set(const spec::NamedValue (&table)[kSize], const spec::Strings& names,
                         std::string_view origin) {
  uint64_t flags = 0;
  for (size_t i = 0; i < names.size(); ++i)
    flags |= need(spec::value_of(table, names[i]), cat(origin, "[", i, "]"), names[i]);
  return flags;
}

[[noreturn]] static void refuse_label(const char* origin, std::string_view lsm,
                                      std::string_view label) {
  throw Error::at(origin, cat(lsm, " is off on this host, so ", spec::quoted(label),
                              " would not confine the process: leave it out to go without"));
}

// As runc: who asks for confinement gets it, or no container.
void add_labels(Draft& d, const spec::Process& process) {
  constexpr char kProfile[] = "process.apparmorProfile";
  if (d.host.apparmor && !process.apparmorProfile.empty()) {
    const std::string command = cat("exec ", process.apparmorProfile);
    d.b.init(kProfile, ProcessLabel{d.b.str("apparmor/exec"), d.b.str(command)});
  } else if (!process.apparmorProfile.empty() && process.apparmorProfile != "unconfined") {
    refuse_label(kProfile, "AppArmor", process.apparmorProfile);
  }
  if (process.selinuxLabel.empty()) return;
  constexpr char kLabel[] = "process.selinuxLabel";
  if (!d.host.selinux) refuse_label(kLabel, "SELinux", process.selinuxLabel);
  d.b.init(kLabel, ProcessLabel{d.b.str("exec"), d.b.str(process.selinuxLabel)});
}

void add_keyring_label(Draft& d, const spec::Process& process) {
  if (process.selinuxLabel.empty() || !d.host.selinux) return;
  d.b.init("process.selinuxLabel",
           ProcessLabel{d.b.str("keycreate"), d.b.str(process.selinuxLabel)});
}

// Lowering the score and raising a hard limit take CAP_SYS_RESOURCE in the initial user namespace.
static bool parent_is_privileged(const Draft& d) {
  return d.host.initial_userns && d.host.euid == 0;
}

// Who may not lower it runs containers all the same (as with every peer).
void add_oom_score(Draft& d, const spec::Process& process) {
  if (!process.oomScoreAdj) return;
  d.b.init("process.oomScoreAdj", OomScoreAdj{*process.oomScoreAdj},
           parent_is_privileged(d) ? OnError::kFail : OnError::kWarn);
}

void add_rlimits(Draft& d, const spec::Process& process) {
  if (process.rlimits.empty()) return;
  // An init in a user namespace of its own lacks the capability that its parent has.
  const bool by_parent = d.new_userns && parent_is_privileged(d);
  // The init waits: a limit on open files must not meet it in the middle of its work.
  if (by_parent) d.b.parent("", Meet{});
  for (size_t i = 0; i < process.rlimits.size(); ++i) {
    const spec::POSIXRlimit& limit = process.rlimits[i];
    const std::string origin = cat("process.rlimits[", i, "]");
    const auto resource = spec::rlimit_number(limit.type);
    if (!resource) throw Error::at(cat(origin, ".type"), cat("unknown: ", limit.type));
    d.b.add(by_parent ? Actor::kParent : Actor::kInit, origin,
            Rlimit{limit.soft, limit.hard, static_cast<uint32_t>(*resource)});
  }
  if (by_parent) d.b.init("", Meet{});
}

void add_scheduler(Draft& d, const spec::Scheduler& s, Actor actor) {
  const uint64_t policy = need(spec::value_of(spec::kSchedulerPolicies, s.policy),
                               "process.scheduler.policy", s.policy);
  const uint64_t flags = flag_set(spec::kSchedulerFlags, s.flags, "process.scheduler.flags");
  d.b.add(actor, "process.scheduler",
          Scheduler{static_cast<uint32_t>(policy), s.nice, static_cast<uint32_t>(s.priority), flags,
                    s.runtime, s.deadline, s.period});
}

static void add_io_priority(Draft& d, const spec::LinuxIOPriority& p) {
  constexpr int kClassShift = 13;  // IOPRIO_CLASS_SHIFT, ioprio_set(2)
  const uint64_t class_ = need(spec::value_of(spec::kIoPriorityClasses, p.class_),
                               "process.ioPriority.class", p.class_);
  d.b.init("process.ioPriority", IoPriority{static_cast<uint32_t>(class_ << kClassShift) |
                                            static_cast<uint32_t>(p.priority)});
}

static void add_memory_policy(Draft& d, const spec::LinuxMemoryPolicy& p) {
  const uint64_t mode =
      need(spec::value_of(spec::kMemoryPolicyModes, p.mode), "linux.memoryPolicy.mode", p.mode);
  const uint64_t flags = flag_set(spec::kMemoryPolicyFlags, p.flags, "linux.memoryPolicy.flags");
  std::vector<uint64_t> nodes;
  if (!p.nodes.empty()) nodes = number_set(p.nodes, "linux.memoryPolicy.nodes");
  d.b.init("linux.memoryPolicy",
           MemoryPolicy{static_cast<uint32_t>(mode | flags), d.b.list(nodes)});
}

void add_scheduling(Draft& d, const spec::Process& process) {
  if (process.scheduler && !d.pids_last) add_scheduler(d, *process.scheduler, Actor::kInit);
  if (process.ioPriority) add_io_priority(d, *process.ioPriority);
  if (!d.spec.linux) return;
  if (d.spec.linux->personality) {
    const std::string_view domain = d.spec.linux->personality->domain;
    const uint64_t persona =
        need(spec::value_of(spec::kPersonalityDomains, domain), "linux.personality.domain", domain);
    d.b.init("linux.personality", Personality{persona});
  }
  if (d.spec.linux->memoryPolicy) add_memory_policy(d, *d.spec.linux->memoryPolicy);
}

std::vector<uint64_t> number_set(std::string_view text, std::string_view origin) {
  const auto ranges = spec::parse_number_list(text);
  if (!ranges)
    throw Error::at(std::string(origin), cat("not a list of numbers: ", spec::quoted(text)));
  std::vector<uint64_t> words;
  for (const auto& [first, last] : spec::merge_ranges(*ranges)) {
    if (words.size() <= last / 64) words.resize(last / 64 + 1);
    for (uint32_t n = first; n <= last; ++n) words[n / 64] |= uint64_t{1} << (n % 64);
  }
  return words;
}

void add_exec_affinity(Draft& d, const spec::Process& process) {
  if (!process.execCPUAffinity || process.execCPUAffinity->initial.empty()) return;
  constexpr char kOrigin[] = "process.execCPUAffinity.initial";
  d.b.parent(kOrigin, CpuAffinity{d.b.list(number_set(process.execCPUAffinity->initial, kOrigin))});
}

// `final` if given; with `initial` alone the mask stays as it was set; else the caller's own
// affinity is shaken off (see the init's CpuAffinity). The reset is a courtesy: a cpuset that
// allows nothing else is no reason to fail.
void add_affinity(Draft& d, const spec::Process& process, bool exec) {
  if (exec && process.execCPUAffinity) {
    constexpr char kOrigin[] = "process.execCPUAffinity.final";
    const spec::CPUAffinity& affinity = *process.execCPUAffinity;
    if (!affinity.final.empty())
      d.b.init(kOrigin, CpuAffinity{d.b.list(number_set(affinity.final, kOrigin))});
    if (!affinity.final.empty() || !affinity.initial.empty()) return;
  }
  d.b.init("", CpuAffinity{}, OnError::kWarn);
}

}  // namespace coracle::plan
