#include "shim/children.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>
#include <exception>
#include <utility>

#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/unix_socket.h"
#include "runtime/sys/worker.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

// What a worker sends, once, before it ends: this and the text behind it.
struct Report {
  int32_t failed;
  int32_t pid;
};
constexpr size_t kMaxText = 8 << 10;  // of an error or a text; well below the socket's buffer

sys::Fd child_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  sys::Fd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw Error("signalfd", errno);
  return fd;
}

int send_plain(const sys::Fd& socket, std::string_view data) {
  ssize_t n;
  do {
    n = send(socket.get(), data.data(), data.size(), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : 0;
}

// 0, or the errno value that kept it from being sent: the worker's exit status.
int send_report(const Outcome& outcome) {
  const bool failed = !outcome.error.empty();
  const Report report{failed, outcome.pid};
  std::string data(reinterpret_cast<const char*>(&report), sizeof(report));
  data.append(failed ? outcome.error : outcome.text, 0, kMaxText);
  const sys::Fd socket(sys::kWorkerSocket);
  constexpr int kTries = 100;
  constexpr timespec kPause = {0, 20'000'000};
  int r = 0;
  for (int i = 0; i < kTries; ++i) {
    r = outcome.descriptor ? sys::send_with_fd(socket, data, outcome.descriptor)
                           : send_plain(socket, data);
    if (r != -ENOBUFS && r != -ENOMEM) return -r;  // want of memory passes
    nanosleep(&kPause, nullptr);
  }
  return -r;
}

void wait_at_gate(bool strict) {
  constexpr int kLongestMs = 10'000;
  pollfd gate = {sys::kWorkerGate, POLLIN, 0};
  const int ready = poll(&gate, 1, kLongestMs);
  if (ready < 0) throw Error("poll", errno);
  if (ready == 0) throw Error("the logger is not ready after 10 s");
  if (strict && (gate.revents & POLLIN) == 0)
    throw Error("the logger has ended or closed descriptor 5 without saying that it is ready");
}

[[noreturn]] void run_worker(const Children::Task& task, const Children::Files& files) {
  const sys::Fd log(sys::kWorkerLog);
  log::use_descriptor(log::descriptor() != nullptr ? &log : nullptr);
  Outcome outcome;
  try {
    if (files.gate != nullptr && *files.gate) wait_at_gate(files.strict);
    outcome = task();
  } catch (const std::exception& e) {
    outcome.error = *e.what() != '\0' ? e.what() : "failed for an unknown reason";
  }
  sys::leave_worker(send_report(outcome));
}

// Why there is no report. `received`: what reading it gave, bytes or -errno.
std::string words_of_silence(int wait_status, long received) {
  if (WIFSIGNALED(wait_status))
    return cat("the process that does it was killed by signal ", WTERMSIG(wait_status));
  if (WEXITSTATUS(wait_status) != 0)
    return Error("the process that does it failed to report its result", WEXITSTATUS(wait_status))
        .what();
  if (received < 0)
    return Error("failed to read the result of the process that does it",
                 static_cast<int>(received))
        .what();
  return "the process that does it ended early, with status 0";
}

}  // namespace

int exit_status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? kSignalled + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static rlimit raise_descriptor_limit() {
  rlimit given;
  if (getrlimit(RLIMIT_NOFILE, &given) < 0) throw Error("getrlimit", errno);
  const rlimit most = {given.rlim_max, given.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &most) < 0) throw Error("setrlimit", errno);
  return given;
}

Children::Children(Loop& loop)
    : loop_(loop),
      descriptors_(raise_descriptor_limit()),
      null_(sys::open_at(sys::At::cwd(), "/dev/null", O_RDWR)),
      signals_(child_signals()),
      watch_(loop, signals_, EPOLLIN, [this](uint32_t) { reap(); }) {
  if (!null_) throw Error("/dev/null", null_.error());
}

void Children::expect(pid_t pid, Ended ended) {
  expected_[pid] = std::move(ended);
  const auto found = early_.find(pid);
  if (found == early_.end()) return;
  const int status = found->second;
  early_.erase(found);
  loop_.after(0, [this, pid, status] {
    const auto it = expected_.find(pid);
    if (it == expected_.end()) return;
    const Ended told = std::move(it->second);
    expected_.erase(it);
    told(status);
  });
}

void Children::reap() {
  signalfd_siginfo info[8];
  while (read(signals_.get(), info, sizeof(info)) > 0) {
  }
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0;) {
    const auto found = expected_.find(pid);
    if (found == expected_.end()) {
      early_[pid] = status;
      continue;
    }
    const Ended ended = std::move(found->second);
    expected_.erase(found);
    attempt([&] { ended(status); });
  }
  early_.clear();
}

void Children::work(const Task& task, Done done) {
  work({{&null_, &null_, &null_}}, task, std::move(done));
}

void Children::work(const Files& files, const Task& task, Done done) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
    throw Error("socketpair", errno);
  sys::Fd ours(pair[0]);
  const sys::Fd theirs(pair[1]);
  sys::WorkerFiles given{{}, &theirs, log::descriptor(), files.gate};
  for (int i = 0; i < 3; ++i) given.stdio[i] = *files.stdio[i] ? files.stdio[i] : &null_;
  const pid_t pid = sys::fork_worker(given);
  if (pid < 0) throw Error("fork", pid);
  if (pid == 0) {
    setrlimit(RLIMIT_NOFILE, &descriptors_);  // lower than ours: always allowed
    run_worker(task, files);
  }
  ++working_;
  auto socket = std::make_shared<sys::Fd>(std::move(ours));
  expect(pid, [this, socket, done = std::move(done)](int status) {
    --working_;
    finish(*socket, status, done);
  });
}

void Children::finish(const sys::Fd& socket, int wait_status, const Done& done) {
  struct {
    Report report;
    char text[kMaxText];
  } message;
  Outcome outcome;
  const long n = sys::receive_with_fd(socket, &message, sizeof(message), outcome.descriptor);
  if (n < static_cast<int>(sizeof(Report))) {
    outcome.error = words_of_silence(wait_status, n);
    return done(std::move(outcome));
  }
  const std::string_view text(message.text, static_cast<size_t>(n) - sizeof(Report));
  outcome.pid = message.report.pid;
  (message.report.failed ? outcome.error : outcome.text) = text;
  done(std::move(outcome));
}

}  // namespace coracle::shim
