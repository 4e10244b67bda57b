#include "shim/stdio/pump.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "runtime/sys/pipe.h"

namespace coracle::shim {

namespace {

constexpr size_t kChunk = 1 << 20;  // bytes asked for at once; a pipe holds less
constexpr size_t kTerminalRead = 8192;

bool is_again(ssize_t n) { return n < 0 && (errno == EAGAIN || errno == EINTR); }

}  // namespace

PipePump::PipePump(Loop& loop, sys::Fd from, sys::Fd to, std::function<void()> ended)
    : loop_(loop),
      from_(std::move(from)),
      to_(std::move(to)),
      ended_(std::move(ended)),
      watch_(loop, from_, EPOLLIN, [this](uint32_t) { move(); }) {}

// EAGAIN does not say which side it is about: then it is the one that was not waited for. Other
// errors mean that the target takes nothing any more.
void PipePump::move() {
  const int64_t n = sys::move_bytes(from_, to_, kChunk);
  const bool again = n == -EAGAIN;
  if (n <= 0 && !again) {
    watch_.reset();
    return std::exchange(ended_, nullptr)();
  }
  if (!again && !waits_for_target_) return;
  waits_for_target_ = again && !waits_for_target_;
  watch_.reset();
  watch_ = Watch(loop_, waits_for_target_ ? to_ : from_, waits_for_target_ ? EPOLLOUT : EPOLLIN,
                 [this](uint32_t) { move(); });
}

TerminalPump::TerminalPump(Loop& loop, sys::Fd master, sys::Fd in, sys::Fd out,
                           std::function<void()> ended)
    : loop_(loop),
      master_(std::move(master)),
      in_(std::move(in)),
      out_(std::move(out)),
      ended_(std::move(ended)) {
  // A descriptor that refuses would block us on it; none of a pty or a fifo does.
  sys::set_blocking(master_, false);
  if (in_) sys::set_blocking(in_, false);
  arm();
}

void TerminalPump::arm(Watch& watch, const sys::Fd& fd, uint32_t events,
                       void (TerminalPump::*ready)(uint32_t)) {
  if (!fd || events == 0) return watch.reset();
  if (watch) return watch.want(events);
  watch = Watch(loop_, fd, events, [this, ready](uint32_t e) { (this->*ready)(e); });
}

// A side is watched only while something can be done with it: hang-ups cannot be masked.
void TerminalPump::arm() {
  uint32_t events = 0;
  if (output_.empty() && !hung_up_) events |= EPOLLIN;
  if (!input_.empty()) events |= EPOLLOUT;
  arm(master_watch_, master_, events, &TerminalPump::master_ready);
  arm(in_watch_, in_, input_.empty() ? uint32_t{EPOLLIN} : 0, &TerminalPump::in_ready);
  arm(out_watch_, out_, output_.empty() ? 0 : uint32_t{EPOLLOUT}, &TerminalPump::out_ready);
  if (hung_up_ && output_.empty() && ended_) std::exchange(ended_, nullptr)();
}

void TerminalPump::master_ready(uint32_t events) {
  if ((events & EPOLLHUP) != 0) end_input();
  if ((events & EPOLLOUT) != 0) write(input_, master_);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && output_.empty()) read_output();
  arm();
}

void TerminalPump::read_output() {
  char bytes[kTerminalRead];
  const ssize_t n = read(master_.get(), bytes, sizeof(bytes));
  if (is_again(n)) return;
  // EIO: the last of the container has closed its side.
  hung_up_ = n <= 0;
  if (hung_up_) return end_input();
  if (!out_) return;
  output_.bytes.assign(bytes, static_cast<size_t>(n));
  write(output_, out_);
}

void TerminalPump::read_input() {
  char bytes[4096];  // what a terminal takes at once (N_TTY_BUF_SIZE)
  const ssize_t n = read(in_.get(), bytes, sizeof(bytes));
  if (is_again(n)) return;
  if (n <= 0) return end_input();
  input_.bytes.assign(bytes, static_cast<size_t>(n));
  write(input_, master_);
}

void TerminalPump::write(Held& held, const sys::Fd& to) {
  const ssize_t n = ::write(to.get(), held.bytes.data() + held.done, held.bytes.size() - held.done);
  if (is_again(n)) return;
  if (n > 0) held.done += static_cast<size_t>(n);
  // Whoever takes nothing any more loses it.
  if (n >= 0 && held.done < held.bytes.size()) return;
  std::string().swap(held.bytes);
  held.done = 0;
}

void TerminalPump::end_input() {
  in_watch_.reset();
  in_.reset();
  std::string().swap(input_.bytes);
  input_.done = 0;
}

}  // namespace coracle::shim
