#include "runtime/sys/process.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"

namespace coracle::sys {
namespace {

// One read(2) of a small file of procfs, which gives all of it at once.
ssize_t read_once(const char* path, char* buffer, size_t size) {
  Fd file = open_at(At::cwd(), path, O_RDONLY);
  if (!file) return -file.error();
  ssize_t n;
  do {
    n = ::read(file.get(), buffer, size);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

bool parse_number(const char* text, uint64_t& out) {
  return std::from_chars(text, text + ::strlen(text), out).ec == std::errc();
}

int read_stat(const char* path, ProcessStat& out) {
  char text[1024];
  ssize_t n = read_once(path, text, sizeof(text) - 1);
  if (n < 0) return n == -ENOENT ? -ESRCH : static_cast<int>(n);
  text[n] = 0;
  return parse_process_stat(text, out) ? 0 : -EPROTO;
}

}  // namespace

bool parse_process_stat(const char* text, ProcessStat& out) {
  // The name in parentheses may hold anything, parentheses and blanks too: the last one counts.
  const char* field = ::strrchr(text, ')');
  if (!field || field[1] != ' ' || !field[2]) return false;
  out.state = field[2];
  field += 2;
  constexpr int kParent = 4, kUserTime = 14, kChildrensTime = 17, kStartTime = 22;
  out.cpu_ticks = 0;
  for (int number = 3; number < kStartTime;) {
    field = ::strchr(field, ' ');
    if (!field) return false;
    ++field;
    ++number;
    if (number == kParent) out.parent = static_cast<pid_t>(::strtol(field, nullptr, 10));
    uint64_t ticks = 0;
    if (number >= kUserTime && number <= kChildrensTime && !parse_number(field, ticks))
      return false;
    out.cpu_ticks += ticks;
    if (number == kStartTime && !parse_number(field, out.start_time)) return false;
  }
  return true;
}

int read_process_stat(pid_t pid, ProcessStat& out) {
  char path[32];
  ::snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  return read_stat(path, out);
}

int self_stat(ProcessStat& out) {
  static ProcessStat self;
  static const int r = read_stat("/proc/self/stat", self);
  out = self;
  return r;
}

int self_id(ProcessId& out) {
  ProcessStat stat;
  if (int r = self_stat(stat)) return r;
  out = {::getpid(), stat.start_time};
  return 0;
}

Fd open_process(const ProcessId& id) {
  if (id.pid <= 0) return Fd(-ESRCH);
  Fd pidfd = pidfd_open(id.pid);
  // The number is a thread's by now: EINVAL, since Linux 6.9 ENOENT.
  if (pidfd.error() == EINVAL || pidfd.error() == ENOENT) return Fd(-ESRCH);
  if (!pidfd) return pidfd;
  ProcessStat stat;
  if (int r = read_process_stat(id.pid, stat)) return Fd(r);
  bool ended = stat.state == 'Z' || stat.state == 'X';
  return ended || stat.start_time != id.start_time ? Fd(-ESRCH) : std::move(pidfd);
}

Fd pidfd_open(pid_t pid) {
  long fd = ::syscall(SYS_pidfd_open, pid, 0);
  return Fd(fd < 0 ? -errno : static_cast<int>(fd));
}

int pidfd_send_signal(const Fd& pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) < 0 ? -errno : 0;
}

int pidfd_wait(const Fd& pidfd, int timeout_ms) {
  pollfd entry = {pidfd.get(), POLLIN, 0};
  int n = ::poll(&entry, 1, timeout_ms);
  return n < 0 ? -errno : n;
}

int reap(pid_t pid, int& status) {
  while (::waitpid(pid, &status, __WALL) < 0)
    if (errno != EINTR) return -errno;
  return 0;
}

void end_child(pid_t pid) {
  if (pid <= 0) return;  // to kill(2) those are groups
  int status = 0;
  // Not reaped yet, so the number is still its own. ESRCH and ECHILD mean that it is gone.
  ::kill(pid, SIGKILL);
  if (reap(pid, status) < 0) return;
}

static constexpr int kLook = WEXITED | WNOHANG | WNOWAIT | __WALL;

bool is_child(const Fd& pidfd) {
  siginfo_t info{};
  return ::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, kLook) == 0;
}

bool has_ended(const Fd& pidfd, int& status) {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, kLook) != 0 || info.si_pid == 0)
    return false;
  // As wait(2) lays it out: 8 bits of status above 7 of a signal and the one of a core dump.
  constexpr int kDumped = 0x80;
  status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
  if (info.si_code == CLD_DUMPED) status |= kDumped;
  return true;
}

void reap_strangers(pid_t but) {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, kLook) < 0 || info.si_pid == 0 || info.si_pid == but) return;
    int status = 0;
    if (reap(info.si_pid, status) < 0) return;
  }
}

namespace {

// linux/pidfd.h, newer than the headers here: PIDFD_GET_INFO of Linux 6.13, the exit status
// of 6.15.
struct PidfdInfo {
  uint64_t mask;
  uint64_t unused[6];
  uint32_t unused_too;
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);  // PIDFD_INFO_SIZE_VER0
constexpr uint64_t kInfoExit = 1u << 3;
constexpr unsigned long kGetInfo = _IOWR(0xFF, 11, PidfdInfo);

int reaped_status(const Fd& pidfd, int& status) {
  PidfdInfo info{};
  info.mask = kInfoExit;
  if (::ioctl(pidfd.get(), kGetInfo, &info) < 0) return errno == ENOTTY ? -ENODATA : -errno;
  if ((info.mask & kInfoExit) == 0) return -ENODATA;
  status = info.exit_code;
  return 0;
}

// Field 52, the last one. The start time says that it is still the same process.
int zombie_status(const ProcessId& id, int& status) {
  char path[32];
  char text[1024];
  ::snprintf(path, sizeof(path), "/proc/%d/stat", id.pid);
  const ssize_t n = read_once(path, text, sizeof(text) - 1);
  if (n < 0) return -ENODATA;
  text[n] = 0;
  ProcessStat stat;
  if (!parse_process_stat(text, stat) || stat.state != 'Z' || stat.start_time != id.start_time)
    return -ENODATA;
  status = static_cast<int>(::strtol(::strrchr(text, ' ') + 1, nullptr, 10));
  return 0;
}

}  // namespace

int wait_for_status(const Fd& pidfd, const ProcessId& id, int& status) {
  int r;
  do {
    r = pidfd_wait(pidfd, -1);
  } while (r == -EINTR);
  if (r < 0) return r;
  const bool seen = zombie_status(id, status) == 0;
  // A moment later the parent has reaped it: POLLHUP (Linux 6.9).
  constexpr int kMomentMs = 200;
  pollfd reaped = {pidfd.get(), 0, 0};
  if (!seen) ::poll(&reaped, 1, kMomentMs);  // what the next line finds counts
  return seen ? 0 : reaped_status(pidfd, status);
}

bool in_initial_user_namespace() {
  constexpr ino_t kInitialUserNamespace = 0xEFFFFFFD;
  struct stat st;
  // Without the file (no procfs, no user namespaces) nothing tells of another one.
  return stat_at(At::cwd(), "/proc/self/ns/user", st) || st.st_ino == kInitialUserNamespace;
}

int ignored_signals(uint64_t& out) {
  char text[4096];
  const ssize_t n = read_once("/proc/self/status", text, sizeof(text) - 1);
  if (n < 0) return static_cast<int>(n);
  text[n] = 0;
  const char* line = ::strstr(text, "\nSigIgn:");
  if (line == nullptr) return -EPROTO;
  out = ::strtoull(line + 8, nullptr, 16);
  return 0;
}

int read_boot_id(char (&out)[kBootIdSize + 1]) {
  static char id[kBootIdSize + 1];
  static const ssize_t n = read_once("/proc/sys/kernel/random/boot_id", id, kBootIdSize);
  if (n < 0) return static_cast<int>(n);
  ::memcpy(out, id, sizeof(id));
  return n == kBootIdSize ? 0 : -EPROTO;
}

std::string how_ended(int wait_status) {
  return WIFSIGNALED(wait_status) ? "signal " + std::to_string(WTERMSIG(wait_status))
                                  : "exit status " + std::to_string(WEXITSTATUS(wait_status));
}

}  // namespace coracle::sys
