// The tables of names behind spec/ids.h: signals, capabilities, resource limits.

#include <sys/resource.h>

#include <csignal>

#include "spec/error.h"
#include "spec/ids.h"
#include "spec/names.h"
#include "spec/text.h"

namespace coracle::spec {
namespace {

// glibc keeps 32 and 33 for itself, musl 34 as well: engines mean glibc's numbers.
constexpr int kRtMin = 34;
constexpr int kRtMax = 64;

// The first of two names for one number is the one that is written.
constexpr NamedValue kSignals[] = {
    {"ABRT", SIGABRT},     {"ALRM", SIGALRM},     {"BUS", SIGBUS},     {"CHLD", SIGCHLD},
    {"CLD", SIGCHLD},      {"CONT", SIGCONT},     {"FPE", SIGFPE},     {"HUP", SIGHUP},
    {"ILL", SIGILL},       {"INT", SIGINT},       {"IO", SIGIO},       {"IOT", SIGABRT},
    {"KILL", SIGKILL},     {"PIPE", SIGPIPE},     {"POLL", SIGIO},     {"PROF", SIGPROF},
    {"PWR", SIGPWR},       {"QUIT", SIGQUIT},     {"SEGV", SIGSEGV},   {"STOP", SIGSTOP},
    {"SYS", SIGSYS},       {"TERM", SIGTERM},     {"TRAP", SIGTRAP},   {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU},     {"URG", SIGURG},     {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},     {"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH}, {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ},
#ifdef SIGSTKFLT
    {"STKFLT", SIGSTKFLT},
#endif
};

constexpr std::string_view kCapabilities[kCapabilityCount] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

constexpr NamedValue kRlimits[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

// RTMIN, RTMIN+n, RTMAX, RTMAX-n; `name` is in upper case and without SIG.
std::optional<int> realtime_signal(std::string_view name) {
  bool from_min = name.starts_with("RTMIN");
  if (!from_min && !name.starts_with("RTMAX")) return std::nullopt;
  std::string_view offset = name.substr(5);
  if (offset.empty()) return from_min ? kRtMin : kRtMax;
  auto number = parse_number(offset.substr(1), kRtMax - kRtMin);
  if (!number || offset[0] != (from_min ? '+' : '-')) return std::nullopt;
  int distance = static_cast<int>(*number);
  return from_min ? kRtMin + distance : kRtMax - distance;
}

}  // namespace

int parse_signal(std::string_view text) {
  if (auto number = parse_number(text, kRtMax)) return static_cast<int>(*number);
  std::string upper;
  for (char c : text) upper.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c);
  std::string_view name = upper;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  if (auto value = value_of(kSignals, name)) return static_cast<int>(*value);
  if (auto number = realtime_signal(name)) return *number;
  throw Error(cat("unknown signal ", quoted(text)));
}

std::string signal_name(int number) {
  for (const NamedValue& signal : kSignals) {
    if (static_cast<int>(signal.value) == number) return cat("SIG", signal.name);
  }
  if (number == kRtMin) return "SIGRTMIN";
  return number > kRtMin && number <= kRtMax ? cat("SIGRTMIN+", number - kRtMin) : "";
}

std::optional<int> capability_number(std::string_view name) {
  for (int i = 0; i < kCapabilityCount; ++i) {
    if (kCapabilities[i] == name) return i;
  }
  return std::nullopt;
}

std::string_view capability_name(int number) {
  return number >= 0 && number < kCapabilityCount ? kCapabilities[number] : "";
}

std::optional<int> rlimit_number(std::string_view name) {
  auto value = value_of(kRlimits, name);
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::string_view rlimit_name(int number) {
  for (const NamedValue& limit : kRlimits) {
    if (static_cast<int>(limit.value) == number) return limit.name;
  }
  return "";
}

}  // namespace coracle::spec
