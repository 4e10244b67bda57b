#include "runtime/plan/seccomp_profile.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <optional>

#include "runtime/plan/seccomp_abi.h"
#include "spec/error.h"
#include "spec/names.h"
#include "spec/text.h"

// Linux 5.19; older headers lack it.
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace coracle::plan::seccomp {
namespace {

using spec::cat;
using spec::Error;

constexpr uint32_t kMaxErrno = 4095;  // the kernel's MAX_ERRNO; it clamps what is above

struct Action {
  std::string_view name;
  uint32_t value;
  uint32_t max_errno;  // 0: takes none
};
constexpr Action kActions[] = {
    {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, 0},
    {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, 0},
    {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, 0},
    {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP, 0},
    {"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, kMaxErrno},
    {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE, SECCOMP_RET_DATA},
    {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, 0},
    {"SCMP_ACT_LOG", SECCOMP_RET_LOG, 0},
    {"SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF, 0},
};

struct OperatorName {
  std::string_view name;
  Operator value;
};
constexpr OperatorName kOperators[] = {
    {"SCMP_CMP_NE", Operator::kNe},
    {"SCMP_CMP_LT", Operator::kLt},
    {"SCMP_CMP_LE", Operator::kLe},
    {"SCMP_CMP_EQ", Operator::kEq},
    {"SCMP_CMP_GE", Operator::kGe},
    {"SCMP_CMP_GT", Operator::kGt},
    {"SCMP_CMP_MASKED_EQ", Operator::kMaskedEq},
};

template <typename Row, size_t N>
const Row* find_row(const Row (&table)[N], std::string_view name) {
  auto row = std::find_if(table, table + N, [name](const Row& r) { return r.name == name; });
  return row == table + N ? nullptr : row;
}

std::string at(size_t syscall, std::string_view member) {
  return cat("linux.seccomp.syscalls[", syscall, "]", member);
}

uint32_t action_value(std::string_view name, std::optional<uint32_t> errno_ret,
                      const std::string& action_path, const std::string& errno_path) {
  const Action* action = find_row(kActions, name);
  if (!action) throw Error::at(action_path, cat("unknown action ", spec::quoted(name)));
  if (!action->max_errno) {
    // "When the action does not support an errno, the runtime MUST print and error and fail."
    if (errno_ret) throw Error::at(errno_path, cat(name, " takes no errno"));
    return action->value;
  }
  uint32_t number = errno_ret.value_or(EPERM);
  if (number > action->max_errno) throw Error::at(errno_path, cat(number, " is no errno"));
  return action->value | number;
}

void add_arches(const spec::LinuxSeccomp& seccomp, Profile& profile, Warnings& warnings) {
  profile.arches.push_back(seccomp_arch_native());
  for (size_t i = 0; i < seccomp.architectures.size(); ++i) {
    std::string_view name = seccomp.architectures[i];
    std::string lower;
    if (name.substr(0, 10) == "SCMP_ARCH_") lower = name.substr(10);
    for (char& c : lower) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    uint32_t arch = lower.empty() ? 0 : seccomp_arch_resolve_name(lower.c_str());
    std::string path = cat("linux.seccomp.architectures[", i, "]");
    if (arch == 0) {
      if (!spec::contains(spec::kSeccompArchitectures, name)) {
        throw Error::at(path, cat("unknown architecture ", spec::quoted(name)));
      }
      // One that only libseccomp 2.6 knows. A call of an architecture without rules is killed, and
      // this machine is none of these, or libseccomp could not have been built for it.
      warnings.push_back(cat(path, ": ", name, " cannot run here; ignored"));
      continue;
    }
    if (std::find(profile.arches.begin(), profile.arches.end(), arch) == profile.arches.end()) {
      profile.arches.push_back(arch);
    }
  }
}

std::vector<Condition> conditions_of(const spec::LinuxSyscall& syscall, size_t origin) {
  std::vector<Condition> conditions;
  for (size_t i = 0; i < syscall.args.size(); ++i) {
    const spec::LinuxSeccompArg& arg = syscall.args[i];
    const OperatorName* op = find_row(kOperators, arg.op);
    if (!op) {
      throw Error::at(at(origin, cat(".args[", i, "].op")),
                      cat("unknown operator ", spec::quoted(arg.op)));
    }
    if (arg.index > 5) throw Error::at(at(origin, cat(".args[", i, "].index")), "is above 5");
    conditions.push_back({arg.index, op->value, arg.value, arg.valueTwo});
  }
  return conditions;
}

// Two conditions on one argument could be meant as either; Docker's first profiles meant "or", and
// every runtime has kept it: each condition then is a rule of its own.
bool repeats_argument(const std::vector<Condition>& conditions) {
  unsigned seen = 0;
  for (const Condition& c : conditions) {
    if (seen & (1u << c.index)) return true;
    seen |= 1u << c.index;
  }
  return false;
}

void refuse_notify(std::string_view name, size_t origin) {
  if (name == "write" || name == "sendmsg") {
    throw Error::at(at(origin, ".action"),
                    cat("SCMP_ACT_NOTIFY cannot be used for the ", name, " syscall"));
  }
}

void add_rules(const spec::LinuxSyscall& syscall, size_t origin, Profile& profile) {
  if (syscall.names.empty()) throw Error::at(at(origin, ".names"), "is missing or empty");
  uint32_t action = action_value(syscall.action, syscall.errnoRet, at(origin, ".action"),
                                 at(origin, ".errnoRet"));
  std::vector<Condition> conditions = conditions_of(syscall, origin);
  for (std::string_view name : syscall.names) {
    if (action == SECCOMP_RET_USER_NOTIF) refuse_notify(name, origin);
    const SystemCall* call = find_call(name);
    if (!call) {
      profile.unknown.emplace_back(name);
      continue;
    }
    profile.known.push_back(call);
    if (action == profile.default_action) continue;
    profile.notify = profile.notify || action == SECCOMP_RET_USER_NOTIF;
    if (!repeats_argument(conditions)) {
      profile.rules.push_back({profile.known.size() - 1, action, conditions, origin});
      continue;
    }
    for (const Condition& c : conditions) {
      profile.rules.push_back({profile.known.size() - 1, action, {c}, origin});
    }
  }
}

uint32_t flags_of(const spec::LinuxSeccomp& seccomp, bool notify, Warnings& warnings) {
  // Absent: what runc and crun do, and what the profiles of the engines are measured with.
  if (!seccomp.flags) return SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  uint32_t flags = 0;
  for (size_t i = 0; i < seccomp.flags->size(); ++i) {
    std::string path = cat("linux.seccomp.flags[", i, "]");
    std::optional<uint64_t> flag = spec::value_of(spec::kSeccompFlags, (*seccomp.flags)[i]);
    if (!flag) throw Error::at(path, cat("unknown flag ", spec::quoted((*seccomp.flags)[i])));
    if (*flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV && !notify) {
      // The kernel refuses it without a listener (seccomp(2): EINVAL).
      warnings.push_back(cat(path, ": no action is SCMP_ACT_NOTIFY; ignored"));
      continue;
    }
    flags |= static_cast<uint32_t>(*flag);
  }
  // With TSYNC and a listener, seccomp(2) returns one number for two things; the kernel wants this
  // flag to tell them apart (Linux 5.7).
  if (notify && (flags & SECCOMP_FILTER_FLAG_TSYNC)) flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  return flags;
}

}  // namespace

Profile resolve(const spec::LinuxSeccomp& seccomp, Warnings& warnings) {
  Profile profile;
  profile.default_action =
      action_value(seccomp.defaultAction, seccomp.defaultErrnoRet, "linux.seccomp.defaultAction",
                   "linux.seccomp.defaultErrnoRet");
  if (profile.default_action == SECCOMP_RET_USER_NOTIF) {
    throw Error::at("linux.seccomp.defaultAction", "SCMP_ACT_NOTIFY cannot be the default");
  }
  add_arches(seccomp, profile, warnings);
  for (size_t i = 0; i < seccomp.syscalls.size(); ++i) add_rules(seccomp.syscalls[i], i, profile);
  if (profile.notify && seccomp.listenerPath.empty()) {
    throw Error::at("linux.seccomp.listenerPath", "SCMP_ACT_NOTIFY needs a listenerPath");
  }
  profile.flags = flags_of(seccomp, profile.notify, warnings);
  return profile;
}

}  // namespace coracle::plan::seccomp
