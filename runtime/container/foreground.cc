#include "runtime/container/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <optional>

#include "runtime/engine/console.h"
#include "runtime/sys/process.h"
#include "spec/error.h"

namespace coracle::container {

using spec::Error;

static_assert(sizeof(sigset_t) <= 128);

SignalGate::SignalGate() {
  sigset_t all;
  sigset_t old;
  sigfillset(&all);
  // Faults of our own must still end us, and job control of a shell must still stop us.
  for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGTSTP, SIGTTIN, SIGTTOU})
    sigdelset(&all, s);
  sigprocmask(SIG_BLOCK, &all, &old);
  memcpy(saved_, &old, sizeof(old));
  fd_ = sys::Fd(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) throw Error("signalfd", errno);
}

SignalGate::~SignalGate() {
  sigset_t old;
  memcpy(&old, saved_, sizeof(old));
  sigprocmask(SIG_SETMASK, &old, nullptr);
}

namespace {

// One direction of a terminal's bytes. A bounded buffer: a slow reader stops the writer, nothing
// else.
class Pump {
 public:
  Pump(int from, int to) : from_(from), to_(to) {}
  bool open() const { return from_ >= 0; }
  pollfd wanted() const { return length_ > 0 ? pollfd{to_, POLLOUT, 0} : pollfd{from_, POLLIN, 0}; }
  // Moves what can be moved now. False once the source has ended.
  bool step() {
    if (length_ == 0) {
      const ssize_t n = read(from_, buffer_, sizeof(buffer_));
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
      if (n <= 0) return end();  // EIO: the last of the container has closed its end
      length_ = static_cast<size_t>(n);
      offset_ = 0;
    }
    const ssize_t n = write(to_, buffer_ + offset_, length_);
    if (n < 0) return errno == EINTR || errno == EAGAIN || end();
    offset_ += static_cast<size_t>(n);
    length_ -= static_cast<size_t>(n);
    return true;
  }
  bool end() {
    from_ = -1;
    return false;
  }

 private:
  int from_;
  int to_;
  size_t length_ = 0;
  size_t offset_ = 0;
  char buffer_[4096];
};

class Loop {
 public:
  Loop(const Foreground& program, const SignalGate& gate)
      : program_(program),
        gate_(gate),
        in_(program.console ? STDIN_FILENO : -1, program.console.get()),
        out_(program.console ? program.console.get() : -1, STDOUT_FILENO) {}

  int run() {
    while (!ended_) turn(-1);
    while (out_.open() && turn(0)) {  // what the terminal still holds
    }
    return status_;
  }

 private:
  // One poll and what follows from it; false when nothing was ready.
  bool turn(int timeout) {
    pollfd fds[5] = {{gate_.fd().get(), POLLIN, 0},
                     {ended_ ? -1 : program_.pidfd.get(), POLLIN, 0},
                     in_.open() && !ended_ ? in_.wanted() : pollfd{-1, 0, 0},
                     out_.open() ? out_.wanted() : pollfd{-1, 0, 0},
                     {notify_socket(), POLLIN, 0}};
    const int ready = poll(fds, 5, timeout);
    if (ready < 0 && errno != EINTR) throw Error("poll", errno);
    if (ready <= 0) return false;
    if (fds[0].revents) forward_signals();
    if (fds[2].revents && !in_.step()) end_input();
    if (fds[3].revents) out_.step();
    // We are whom the caller watches, and stay: there is no other pid to tell, nothing to wait for.
    if (fds[4].revents && program_.notifier->is_ready()) program_.notifier->tell(0);
    if (fds[1].revents) reap();
    return true;
  }

  // The end of our input is the end of the terminal's, where it reads lines (termios(3), VEOF):
  // else a shell there waits for ever.
  void end_input() const {
    termios settings;
    if (tcgetattr(program_.console.get(), &settings) < 0 || !(settings.c_lflag & ICANON)) return;
    const auto end = static_cast<char>(settings.c_cc[VEOF]);
    if (write(program_.console.get(), &end, 1) < 0 && errno != EAGAIN && errno != EIO)
      throw Error("write to the terminal", errno);
  }

  int notify_socket() const {
    return program_.notifier != nullptr ? program_.notifier->socket().get() : -1;
  }

  void forward_signals() {
    signalfd_siginfo info;
    while (read(gate_.fd().get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGCHLD) {
        sys::reap_strangers(program_.pid);  // its own end the pidfd tells
      } else if (signal == SIGWINCH && program_.console) {
        engine::copy_window_size(program_.console);
      } else if (signal != SIGURG && signal != SIGPIPE) {
        sys::pidfd_send_signal(program_.pidfd, signal);  // ended meanwhile: nothing to tell
      }
    }
  }

  void reap() {
    const int r = sys::reap(program_.pid, status_);
    if (r < 0) throw Error("waiting for the program", r);
    ended_ = true;
  }

  const Foreground& program_;
  const SignalGate& gate_;
  Pump in_;
  Pump out_;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace

int exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int wait_foreground(const Foreground& program, const SignalGate& gate) {
  std::optional<engine::RawTerminal> raw;
  if (program.console) {
    raw.emplace();
    engine::copy_window_size(program.console);
  }
  return Loop(program, gate).run();
}

}  // namespace coracle::container
