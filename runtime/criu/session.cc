#include "runtime/criu/session.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

#include "runtime/criu/log.h"
#include "runtime/sys/event.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "runtime/sys/spawn.h"
#include "runtime/sys/unix_socket.h"
#include "spec/errno_words.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::criu {

using spec::cat;
using spec::Error;

namespace {

constexpr size_t kLongestAnswer = 64 << 10;
constexpr int kLastMomentsMs = 10'000;
constexpr int kGlanceMs = 1000;  // between two looks at criu's progress

std::string_view verb(Kind kind) {
  switch (kind) {
    case Kind::kDump:
      return "dump";
    case Kind::kPreDump:
      return "pre-dump";
    case Kind::kRestore:
      return "restore";
    default:
      return "answer";
  }
}

sys::Fd open_null() {
  sys::Fd null = sys::open_at(sys::At::cwd(), "/dev/null", O_RDWR);
  if (!null) throw Error("/dev/null", null.error());
  return null;
}

}  // namespace

std::string find() {
  std::string path = sys::find_program("criu");
  if (path.empty())
    throw Error(
        "criu is not found in $PATH: checkpoint and restore need it, version 3.16 or newer "
        "(package criu)");
  return path;
}

Session::Session(const Start& start, Patience patience)
    : patience_(patience), words_(memfd_create("criu-words", MFD_CLOEXEC)) {
  if (!words_) throw Error("memfd_create", errno);
  sys::Fd theirs;
  if (int r = sys::socket_pair(SOCK_SEQPACKET, socket_, theirs)) throw Error("socketpair", r);
  const sys::Fd null = open_null();
  std::vector<const sys::Fd*> further = {&theirs};
  further.insert(further.end(), start.handed.begin(), start.handed.end());

  char* argv[] = {const_cast<char*>("criu"), const_cast<char*>("swrk"), const_cast<char*>("3"),
                  nullptr};
  sys::Place place = start.place;
  place.further = further.data();
  place.further_count = static_cast<int>(further.size());
  place.outlives = true;
  sys::Program program;
  program.path = start.program.c_str();
  program.argv = argv;
  program.envp = environ;
  program.input = start.stdio[0] != nullptr ? start.stdio[0] : &null;
  program.output = start.stdio[1] != nullptr ? start.stdio[1] : &null;
  program.error = start.stdio[2] != nullptr ? start.stdio[2] : &words_;
  program.place = &place;
  const int r = sys::start_program(program, criu_);
  if (r < 0) throw Error(cat("starting ", start.program, ": ", criu_.call), r);
}

Session::~Session() {
  socket_.reset();
  sys::ignore(sys::pidfd_wait(criu_.pidfd, kLastMomentsMs));  // it may end by itself
  sys::end_child(criu_.pid);
}

// ---- the socket ----

void Session::send(std::string_view message) {
  ssize_t n;
  do {
    n = ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EPIPE) fail_dead();
  if (n < 0) throw Error("criu: send", errno);
}

// Changes as long as criu does something: its processor time, and the length of its log, which the
// processes that it restores write to as well.
uint64_t Session::progress() const {
  sys::ProcessStat stat;
  uint64_t sum = sys::read_process_stat(criu_.pid, stat) == 0 ? stat.cpu_ticks : 0;
  struct stat log;
  if (!log_.empty() && sys::stat_at(sys::At::cwd(), log_.c_str(), log) == 0)
    sum += static_cast<uint64_t>(log.st_size) << 32;
  return sum;
}

bool Session::is_dead() const { return sys::pidfd_wait(criu_.pidfd, 0) == 1; }

Response Session::receive(int patience_ms, sys::Fd& descriptor) {
  int64_t since = sys::monotonic_ms();
  for (uint64_t seen = progress();;) {
    pollfd fds[2] = {{socket_.get(), POLLIN, 0}, {criu_.pidfd.get(), POLLIN, 0}};
    const int ready = poll(fds, 2, kGlanceMs);
    if (ready < 0 && errno != EINTR) throw Error("poll", errno);
    if (ready > 0 && fds[0].revents == 0) fail_dead();
    if (ready > 0) break;
    const uint64_t now = progress();
    if (now != seen) since = sys::monotonic_ms();
    seen = now;
    const int64_t waited = sys::monotonic_ms() - since;
    if (patience_ms >= 0 && waited > patience_ms) fail_silent(static_cast<int>(waited));
  }
  std::string buffer(kLongestAnswer, '\0');
  const long n = sys::receive_with_fd(socket_, buffer.data(), buffer.size(), descriptor);
  if (n == 0 || n == -ECONNRESET) fail_dead();
  if (n < 0) throw Error("criu: receive", static_cast<int>(n));
  Response response;
  if (!decode(std::string_view(buffer).substr(0, static_cast<size_t>(n)), response))
    throw Error(cat("criu: its answer of ", n, " bytes is not well-formed (", criu_.pid, ")"));
  return response;
}

Response Session::ask(Kind kind, std::string_view message) {
  send(message);
  sys::Fd none;
  Response response = receive(patience_.answer, none);
  if (!response.success || response.kind != kind) fail_request(kind, response);
  return response;
}

// ---- failures ----

// What it wrote to stderr: errors from before it has a log, or of the dynamic linker.
std::string Session::last_words() const {
  char text[1024];
  const int n = sys::reread(words_, text, sizeof(text));
  if (n <= 0) return "";
  std::string_view said(text, static_cast<size_t>(n));
  while (!said.empty() && said.back() == '\n') said.remove_suffix(1);
  const std::string errors = errors_of(said, 3);
  return cat(": ", errors.empty() ? printable(said) : errors);
}

void Session::fail_dead() const {
  sys::ignore(sys::pidfd_wait(criu_.pidfd, kLastMomentsMs));  // its last words come before its end
  int status = 0;
  std::string how = "closed its socket";
  if (sys::has_ended(criu_.pidfd, status)) {
    how = cat("ended with status ", WEXITSTATUS(status));
    if (WIFSIGNALED(status))
      how = cat("was killed by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  }
  const std::string reason = log_.empty() ? "" : errors_of_file(log_);
  throw Error(cat("criu ", how, " without an answer", last_words(), reason.empty() ? "" : ": ",
                  reason, log_.empty() ? "" : cat(" (log: ", log_, ")")));
}

void Session::fail_silent(int waited_ms) {
  sys::pidfd_send_signal(criu_.pidfd, SIGKILL);  // ended meanwhile: as wanted
  throw Error(cat("criu does nothing: no word, no line in its log, no processor time for ",
                  waited_ms / 1000, " s; it was killed",
                  log_.empty() ? "" : cat(" (log: ", log_, ")")));
}

// "criu failed: type DUMP errno 0" is how the peers put it, and what scripts look for.
void Session::fail_request(Kind kind, const Response& response) const {
  std::string reason = log_.empty() ? "" : errors_of_file(log_);
  std::string first = errors_of(response.error_text, 1);  // a line as in the log, or mere words
  if (first.empty()) first = printable(response.error_text);
  if (reason.find(first) == reason.npos) reason = cat(first, reason.empty() ? "" : "; ", reason);
  if (reason.empty()) reason = last_words();
  throw Error(cat("criu failed to ", verb(kind), ": ", reason.empty() ? "no reason given" : reason,
                  response.error != 0 ? cat(": ", spec::errno_words(response.error)) : "",
                  log_.empty() ? "" : cat(" (log: ", log_, ")")));
}

// ---- requests ----

void Session::check_version() {
  const Response r = ask(Kind::kVersion, encode({Kind::kVersion, nullptr, true}));
  if (r.version >= kOldestVersion) return;
  throw Error(cat("criu ", r.version / 10000, ".", r.version / 100 % 100,
                  " is too old: checkpoint and restore need 3.16 or newer"));
}

void Session::check_features(bool mem_track, bool lazy_pages) {
  if (!mem_track && !lazy_pages) return;
  const Response r = ask(Kind::kFeatureCheck, encode_feature_check());
  if (mem_track && !r.mem_track)
    throw Error(
        "criu cannot track changes of memory on this kernel (CONFIG_MEM_SOFT_DIRTY): no "
        "--pre-dump, no --parent-path");
  if (lazy_pages && !r.lazy_pages)
    throw Error("criu cannot serve pages on demand on this kernel (userfaultfd): no --lazy-pages");
}

Response Session::converse(const Listener& listener) {
  std::exception_ptr refused;
  for (;;) {
    sys::Fd descriptor;
    Response response = receive(patience_.silence, descriptor);
    if (response.kind != Kind::kNotify) {
      if (refused) std::rethrow_exception(refused);
      return response;
    }
    Notice notice{response.script, response.notify_pid, std::move(descriptor)};
    try {
      if (!refused) listener(notice);
    } catch (...) {
      refused = std::current_exception();  // told once criu has undone its work
    }
    send(encode_notify_reply(!refused));
  }
}

pid_t Session::perform(Kind kind, const Options& options, const std::string& log,
                       const Listener& listener) {
  log_ = log;
  send(encode({kind, &options, false}));
  const Response response = converse(listener);
  if (!response.success || response.kind != kind) fail_request(kind, response);
  return response.restored_pid;
}

}  // namespace coracle::criu
