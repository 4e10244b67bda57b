#include "shim/stdio/streams.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/pipe.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

constexpr int kOut = 1, kErr = 2;
constexpr std::string_view kFile = "file://", kFifo = "fifo://";

sys::Fd must(sys::Fd fd, const std::string& path) {
  if (!fd) throw Error(cat("open ", path), fd.error());
  return fd;
}

bool is_fifo(const sys::Fd& file) {
  struct stat st;
  return sys::stat_fd(file, st) == 0 && S_ISFIFO(st.st_mode);
}

void make_parents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    const int r = sys::mkdir_at(sys::At::cwd(), path.substr(0, slash).c_str(), 0755);
    if (r && r != -EEXIST) throw Error(cat("make directory ", path.substr(0, slash)), r);
  }
}

sys::Fd open_log_file(const std::string& path) {
  make_parents(path);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY;
  return must(sys::open_at(sys::At::cwd(), path.c_str(), kFlags, 0, 0644), path);
}

std::string path_of_fifo(const std::string& uri) {
  if (uri.starts_with(kFifo)) return uri_path(std::string_view(uri).substr(kFifo.size()));
  const size_t colon = uri.find("://");
  if (!uri.starts_with('/') && colon != uri.npos)
    throw Error(cat("unknown STDIO scheme ", uri.substr(0, colon), ": ", uri));
  return uri;
}

sys::Fd duplicate(const sys::Fd& fd) {
  const int copy = fcntl(fd.get(), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw Error("dup", errno);
  return sys::Fd(copy);
}

}  // namespace

Delivery default_delivery() {
  struct stat st;
  // Mounted exactly if SELinux is on: its enforce file is there (selinux(8)).
  const bool selinux = sys::stat_at(sys::At::cwd(), "/sys/fs/selinux/enforce", st) == 0;
  return selinux ? Delivery::kPiped : Delivery::kDirect;
}

Streams::Streams(Loop& loop, const StdioPaths& paths, Delivery delivery, const Logger::Owner& owner)
    : loop_(loop) {
  if (!paths.in.empty()) open_input(path_of_fifo(paths.in), paths.terminal);
  if (paths.out.starts_with(kBinaryScheme) || paths.out.starts_with(kBinaryScheme2)) {
    start_logger(paths, owner);
  } else {
    open_outputs(paths, delivery);
  }
}

// A terminal has one output, and its process gets the pty instead of what is opened here. A log
// file is for both streams, whatever the other one is said to be.
void Streams::open_outputs(const StdioPaths& paths, Delivery delivery) {
  if (paths.terminal) {
    if (paths.out.empty()) return;
    sys::Fd file = open_output(out_, paths.out, Delivery::kDirect);
    if (!out_.keeper) out_.keeper = std::move(file);
    return;
  }
  if (!paths.out.empty()) child_[kOut] = open_output(out_, paths.out, delivery);
  if (paths.out.starts_with(kFile)) {
    child_[kErr] = duplicate(child_[kOut]);
  } else if (!paths.err.empty()) {
    child_[kErr] = open_output(err_, paths.err, delivery);
  }
}

void Streams::start_logger(const StdioPaths& paths, const Logger::Owner& owner) {
  logger_ = std::make_unique<Logger>(loop_, paths.out, owner, [this] { check_drained(); });
  if (paths.terminal) {
    out_.keeper = std::move(logger_->output);
    if (int r = sys::set_blocking(out_.keeper, false)) throw Error("pipe to the logger", r);
    logger_->error.reset();
    return;
  }
  child_[kOut] = std::move(logger_->output);
  child_[kErr] = std::move(logger_->error);
}

// Opened for both reading and writing a fifo never waits for its other side (fifo(7)).
sys::Fd Streams::open_output(Output& output, const std::string& uri, Delivery delivery) {
  if (uri.starts_with(kFile))
    return open_log_file(uri_path(std::string_view(uri).substr(kFile.size())));
  const std::string path = path_of_fifo(uri);
  sys::Fd file = must(
      sys::open_at(sys::At::cwd(), path.c_str(), O_RDWR | O_NONBLOCK | O_NOCTTY | O_APPEND), path);
  if (!is_fifo(file)) return must(sys::reopen(file, O_WRONLY | O_APPEND | O_NOCTTY), path);
  output.keeper = std::move(file);
  if (delivery == Delivery::kDirect) return must(sys::reopen(output.keeper, O_WRONLY), path);
  sys::Fd writer;
  if (int r = sys::make_pipe(output.reader, writer)) throw Error("pipe", r);
  return writer;
}

void Streams::open_input(const std::string& path, bool terminal) {
  sys::Fd reader =
      must(sys::open_at(sys::At::cwd(), path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY), path);
  if (is_fifo(reader)) input_ = must(sys::reopen(reader, O_WRONLY), path);  // there is a reader
  if (terminal) {
    input_end_ = std::move(reader);
    return;
  }
  if (int r = sys::set_blocking(reader, true)) throw Error(path, r);
  child_[0] = std::move(reader);
}

void Streams::started(sys::Fd console) {
  for (sys::Fd& end : child_) end.reset();
  if (console) {
    terminal_ = std::make_unique<TerminalPump>(loop_, std::move(console), std::move(input_end_),
                                               std::move(out_.keeper), [this] {
                                                 terminal_.reset();
                                                 check_drained();
                                               });
    return;
  }
  for (Output* output : {&out_, &err_}) {
    if (!output->reader) continue;
    output->pump = std::make_unique<PipePump>(loop_, std::move(output->reader),
                                              std::move(output->keeper), [this, output] {
                                                output->pump.reset();
                                                check_drained();
                                              });
  }
}

void Streams::resize(uint32_t width, uint32_t height) {
  if (!terminal_) return;
  const auto columns = static_cast<uint16_t>(std::min<uint32_t>(width, UINT16_MAX));
  const auto rows = static_cast<uint16_t>(std::min<uint32_t>(height, UINT16_MAX));
  if (int r = sys::set_window_size(terminal_->master(), columns, rows))
    throw Error("resize the terminal", r);
}

// A pump ends by itself: when nothing has the other side open any more.
void Streams::ended() {
  input_.reset();
  out_.keeper.reset();
  err_.keeper.reset();
  if (logger_) logger_->ready.reset();
}

bool Streams::is_drained() const {
  return !terminal_ && !out_.pump && !err_.pump && (!logger_ || logger_->has_ended());
}

void Streams::check_drained() {
  if (!drained_ || !is_drained()) return;
  loop_.cancel(timer_);
  std::exchange(drained_, nullptr)();
}

void Streams::give_up() {
  terminal_.reset();
  out_.pump.reset();
  err_.pump.reset();
  logger_.reset();
  check_drained();
}

void Streams::when_drained(std::function<void()> act) {
  drained_ = std::move(act);
  loop_.cancel(timer_);
  const int longest = logger_ ? kLoggerMs : kDrainMs;
  if (!is_drained()) timer_ = loop_.after(longest, [this] { give_up(); });
  check_drained();
}

}  // namespace coracle::shim
