// The standard streams of one container process, as containerd names them: paths of fifos that its
// client has made, "" for none, or URIs (fifo:///path, file:///path,
// binary:///program?key=value).
//
//   fifo, stdout and stderr   kDirect: the process gets the fifo itself; nothing is copied, and the
//                             shim sleeps. It holds the fifo open on both sides until the process
//                             has ended, so that a client that goes away breaks no pipe, and one
//                             that comes back finds it.
//                             kPiped: a pipe, moved on with splice(2). Its end is the shim's to
//                             tell: what a process leaves behind in the background cannot keep the
//                             client waiting. For execs, and where SELinux would deny the container
//                             a file that the client has made.
//   fifo, stdin               the fifo itself; the shim holds its writing side until CloseIO, so
//   that
//                             a client that detaches is no end of file.
//   terminal                  the shim copies between the pty's master and the fifos.
//   file://                   the file itself, appended to; both streams share one open file.
//   binary://                 a logger, see logger.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runtime/sys/fd.h"
#include "shim/loop.h"
#include "shim/stdio/logger.h"
#include "shim/stdio/pump.h"

namespace coracle::shim {

struct StdioPaths {
  std::string in;
  std::string out;
  std::string err;
  bool terminal = false;
};

enum class Delivery { kDirect, kPiped };
// For a container's first process.
Delivery default_delivery();

class Streams {
 public:
  // Opens everything; nothing of it waits for a client. Throws spec::Error.
  Streams(Loop& loop, const StdioPaths& paths, Delivery delivery, const Logger::Owner& owner);
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
  ~Streams() { loop_.cancel(timer_); }

  // What becomes the process's 0, 1 or 2; no descriptor means /dev/null. Gone after started().
  const sys::Fd& child(int number) const { return child_[number]; }
  // To be waited for before the process is made; none unless there is a logger.
  const sys::Fd* gate() const { return logger_ ? &logger_->ready : nullptr; }
  // An end of the gate without a byte is a failure.
  bool is_gate_strict() const { return logger_ && logger_->must_say_ready; }
  // The process was made; `console` is its pty's master, if there is one.
  void started(sys::Fd console);
  // CloseIO: the end of stdin, once the client has closed its side too.
  void close_input() { input_.reset(); }
  // Does nothing without a terminal. Throws spec::Error.
  void resize(uint32_t width, uint32_t height);
  // The process has ended.
  void ended();
  // Calls `act` when all output is with the client's fifos, at the latest after kDrainMs (what
  // still comes then is lost); at once if there is nothing to wait for. Only the last `act` counts.
  void when_drained(std::function<void()> act);
  static constexpr int kDrainMs = 10'000;
  // A logger has this long for what it has read, before it is told to end.
  static constexpr int kLoggerMs = 3'000;

 private:
  struct Output {
    sys::Fd keeper;  // both sides of the fifo
    sys::Fd reader;  // of the pipe
    std::unique_ptr<PipePump> pump;
  };
  sys::Fd open_output(Output& output, const std::string& uri, Delivery delivery);
  void open_input(const std::string& path, bool terminal);
  void open_outputs(const StdioPaths& paths, Delivery delivery);
  void start_logger(const StdioPaths& paths, const Logger::Owner& owner);
  bool is_drained() const;
  void check_drained();
  void give_up();

  Loop& loop_;
  sys::Fd child_[3];
  sys::Fd input_;      // the writing side of stdin's fifo
  sys::Fd input_end_;  // the reading side, for a terminal
  Output out_;
  Output err_;
  std::unique_ptr<TerminalPump> terminal_;
  std::unique_ptr<Logger> logger_;
  std::function<void()> drained_;
  uint64_t timer_ = 0;
};

}  // namespace coracle::shim
