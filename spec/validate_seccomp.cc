// `linux.seccomp` (config-linux.md, "Seccomp").

#include "spec/validate_internal.h"

namespace coracle::spec {
namespace {

constexpr uint32_t kMaxErrno = 4095;  // MAX_ERRNO: the kernel cuts SECCOMP_RET_ERRNO's data there
constexpr uint32_t kMaxTraceData = 65535;  // SECCOMP_RET_DATA
constexpr uint32_t kMaxArgument = 5;       // a system call has six

// "When the action doesn't support an errno, the runtime MUST print and error and fail."
void validate_errno(std::string_view action, const std::optional<uint32_t>& value,
                    const Where& where) {
  if (!value) return;
  bool trace = action == "SCMP_ACT_TRACE";
  if (!trace && action != "SCMP_ACT_ERRNO") fail(where, cat("not possible with ", action));
  uint32_t max = trace ? kMaxTraceData : kMaxErrno;
  if (*value > max) fail(where, cat("above ", max));
}

void validate_syscall(const LinuxSyscall& rule, const Where& where) {
  check_name(kSeccompActions, rule.action, where / "action");
  validate_errno(rule.action, rule.errnoRet, where / "errnoRet");
  // "names MUST contain at least one entry."
  if (rule.names.empty()) fail(where / "names", "must have at least one entry");
  for (size_t i = 0; i < rule.names.size(); ++i) {
    if (rule.names[i].empty()) fail((where / "names")[i], "must not be empty");
  }
  Where arguments = where / "args";
  for (size_t i = 0; i < rule.args.size(); ++i) {
    Where argument = arguments[i];
    if (rule.args[i].index > kMaxArgument) fail(argument / "index", "not from 0 to 5");
    check_name(kSeccompOperators, rule.args[i].op, argument / "op");
  }
}

bool notifies(const LinuxSeccomp& seccomp) {
  if (seccomp.defaultAction == "SCMP_ACT_NOTIFY") return true;
  for (const LinuxSyscall& rule : seccomp.syscalls) {
    if (rule.action == "SCMP_ACT_NOTIFY") return true;
  }
  return false;
}

}  // namespace

void validate_seccomp(const LinuxSeccomp& seccomp) {
  check_name(kSeccompActions, seccomp.defaultAction, "linux.seccomp.defaultAction");
  validate_errno(seccomp.defaultAction, seccomp.defaultErrnoRet, "linux.seccomp.defaultErrnoRet");
  check_names(kSeccompArchitectures, seccomp.architectures, "linux.seccomp.architectures");
  if (seccomp.flags) check_names(kSeccompFlags, *seccomp.flags, "linux.seccomp.flags");
  Where rules = "linux.seccomp.syscalls";
  for (size_t i = 0; i < seccomp.syscalls.size(); ++i) {
    validate_syscall(seccomp.syscalls[i], rules[i]);
  }
  // "This field MUST NOT be set if listenerPath is not set."
  if (!seccomp.listenerMetadata.empty() && seccomp.listenerPath.empty()) {
    fail("linux.seccomp.listenerMetadata", "needs listenerPath");
  }
  // Nobody could answer, and the process would hang in its first such call.
  if (notifies(seccomp) && seccomp.listenerPath.empty()) {
    fail("linux.seccomp", "SCMP_ACT_NOTIFY needs listenerPath");
  }
}

}  // namespace coracle::spec
