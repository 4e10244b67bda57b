#include "hooks/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <climits>
#include <ctime>

#include "hooks/output.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::hooks {
namespace {

using spec::cat;
using spec::Error;

struct Pipe {
  sys::Fd read;
  sys::Fd write;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error("pipe", errno);
  return {sys::Fd(ends[0]), sys::Fd(ends[1])};
}

void set_nonblocking(const sys::Fd& fd) {
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) throw Error("fcntl", errno);
}

int64_t now_ms() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// A hook need not read its input: writing then fails with EPIPE and must not kill us.
class Signals {
 public:
  Signals() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigprocmask(SIG_BLOCK, &pipe_, &mask_);
  }
  ~Signals() {
    if (sigismember(&mask_, SIGPIPE)) return;
    const timespec at_once = {};
    while (sigtimedwait(&pipe_, nullptr, &at_once) > 0) {  // ours: take it back
    }
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  sigset_t pipe_;
  sigset_t mask_;
};

// What goes on between us and the running program.
class Session {
 public:
  Session(const Command& command, sys::Started started, std::string_view input, sys::Fd in,
          sys::Fd out, sys::Fd err)
      : command_(command),
        program_(std::move(started)),
        input_(input),
        in_(std::move(in)),
        out_(std::move(out)),
        err_(std::move(err)) {
    set_nonblocking(in_);
    set_nonblocking(out_);
    set_nonblocking(err_);
  }

  // An exception on the way must not leave a hook behind that nobody watches.
  ~Session() {  // NOLINT(bugprone-exception-escape): to poll without memory is to end
    if (!reaped_) {
      kill_group();
      wait();
    }
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // False if the time ran out first.
  bool watch(int64_t timeout_seconds);
  void kill_group() { kill(-program_.pid, SIGKILL); }  // ESRCH: nobody is left, as wanted
  int wait();
  std::string output() const;

 private:
  void feed();
  static void drain(sys::Fd& from, Tail& tail, const sys::Fd* copy);
  void drain_both() {
    drain(out_, stdout_, command_.output_copy);
    drain(err_, stderr_, command_.error_copy);
  }

  const Command& command_;
  sys::Started program_;
  std::string_view input_;  // what is still to be written
  sys::Fd in_, out_, err_;
  Tail stdout_, stderr_;
  bool reaped_ = false;
};

void Session::feed() {
  while (!input_.empty()) {
    ssize_t done = write(in_.get(), input_.data(), input_.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && errno == EAGAIN) return;
    if (done < 0) break;  // EPIPE: it does not want to know more
    input_.remove_prefix(static_cast<size_t>(done));
  }
  in_.reset();
}

// Reads what is there. A program that writes without end must not keep us from its end, hence the
// bound of one call: the default size of a pipe.
void Session::drain(sys::Fd& from, Tail& tail, const sys::Fd* copy) {
  char buffer[8192];
  for (size_t total = 0; from && total < 65536;) {
    ssize_t got = read(from.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      from.reset();
      return;
    }
    tail.add({buffer, static_cast<size_t>(got)});
    // As the hook itself would be told, whose output it is: of a full disk.
    const int r = copy ? sys::write_all(*copy, {buffer, static_cast<size_t>(got)}) : 0;
    if (r < 0) throw Error("the file for what hooks print", r);
    total += static_cast<size_t>(got);
  }
}

// poll(2) wants an int; who asks for more than 24 days waits in pieces.
int remaining(int64_t deadline) {
  if (deadline < 0) return -1;
  int64_t left = deadline - now_ms();
  return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : static_cast<int>(left);
}

bool Session::watch(int64_t timeout_seconds) {
  int64_t start = now_ms();
  bool endless = timeout_seconds <= 0 || timeout_seconds > (INT64_MAX - start) / 1000;
  int64_t deadline = endless ? -1 : start + timeout_seconds * 1000;
  feed();
  for (;;) {
    // A closed descriptor is negative, which poll passes over.
    pollfd fds[4] = {{program_.pidfd.get(), POLLIN, 0},
                     {in_.get(), POLLOUT, 0},
                     {out_.get(), POLLIN, 0},
                     {err_.get(), POLLIN, 0}};
    int left = remaining(deadline);
    int ready = poll(fds, 4, left);
    if (ready < 0 && errno != EINTR) throw Error("poll", errno);
    if (ready < 0) continue;
    if (ready == 0 && remaining(deadline) == 0) return false;
    if (fds[1].revents) feed();
    drain_both();
    if (fds[0].revents) return true;
    if (deadline >= 0 && remaining(deadline) == 0) return false;
  }
}

int Session::wait() {
  int status = 0;
  const int r = sys::reap(program_.pid, status);
  reaped_ = true;
  if (r < 0) throw Error("waiting for the hook", r);
  drain_both();
  return status;
}

std::string Session::output() const {
  std::string err = stderr_.text();
  std::string out = stdout_.text();
  std::string text;
  if (!err.empty()) spec::append(text, ": ", err);
  if (!out.empty()) spec::append(text, err.empty() ? ": stdout: " : "; stdout: ", out);
  return text;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

sys::Started start_here(const Command& command, const sys::Fd* const* stdio) {
  std::vector<char*> argv = pointers(command.program.args);
  std::vector<char*> envp = pointers(command.program.env);
  sys::Program program;
  program.path = command.program.path.c_str();
  program.argv = argv.data();
  program.envp = envp.data();
  program.directory = command.directory.c_str();
  program.input = stdio[0];
  program.output = stdio[1];
  program.error = stdio[2];
  sys::Started started;
  int r = start_program(program, started);
  if (r < 0) throw Error(std::move(started.call), r);
  return started;
}

sys::Started start(const Command& command, const Pipe& in, const Pipe& out, const Pipe& err) {
  const sys::Fd* const stdio[] = {&in.read, &out.write, &err.write};
  return command.start ? command.start(command.program, stdio) : start_here(command, stdio);
}

std::string judge(int status) {
  if (WIFEXITED(status)) {
    return WEXITSTATUS(status) == 0 ? "" : cat("exit status ", WEXITSTATUS(status));
  }
  std::string name = strsignal(WTERMSIG(status));
  name[0] = static_cast<char>(tolower(name[0]));  // "bad system call" inside a sentence
  return cat("killed by signal ", WTERMSIG(status), " (", name, ")");
}

}  // namespace

std::string run(const Command& command, std::string_view input, int64_t timeout) {
  Signals signals;
  Pipe in = make_pipe(), out = make_pipe(), err = make_pipe();
  sys::Started started = start(command, in, out, err);
  in.read.reset();
  out.write.reset();
  err.write.reset();
  Session session(command, std::move(started), input, std::move(in.write), std::move(out.read),
                  std::move(err.read));
  bool ended = session.watch(timeout);
  if (!ended) session.kill_group();
  std::string verdict = judge(session.wait());
  if (!ended) return cat("killed after its timeout of ", timeout, " s", session.output());
  return verdict.empty() ? "" : verdict + session.output();
}

}  // namespace coracle::hooks
