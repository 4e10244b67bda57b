// Bytes on their way from one descriptor to another, driven by the loop. A slow or vanished reader
// stops its own writer and nobody else; what is held meanwhile is bounded.
#pragma once

#include <functional>
#include <string>

#include "runtime/sys/fd.h"
#include "shim/loop.h"

namespace coracle::shim {

// From pipe to pipe without copying (splice(2)). `ended` is called once, from the loop: the source
// has no writer left and everything has been handed on, or the target takes nothing any more. The
// pump may be destroyed in it.
class PipePump {
 public:
  PipePump(Loop& loop, sys::Fd from, sys::Fd to, std::function<void()> ended);

 private:
  void move();

  Loop& loop_;
  sys::Fd from_;
  sys::Fd to_;
  std::function<void()> ended_;
  bool waits_for_target_ = false;
  Watch watch_;  // of one side at a time: a hang-up of the other would be told again and again
};

// Both directions of a terminal. `ended` as above: no process has the terminal open any more.
class TerminalPump {
 public:
  // `master` and `in` (readable end of a fifo) are made non-blocking; `out` has to be. Without `in`
  // there is no input, without `out` output is thrown away.
  TerminalPump(Loop& loop, sys::Fd master, sys::Fd in, sys::Fd out, std::function<void()> ended);

  const sys::Fd& master() const { return master_; }

 private:
  struct Held {  // what was read and could not be written
    std::string bytes;
    size_t done = 0;
    bool empty() const { return bytes.empty(); }
  };
  void master_ready(uint32_t events);
  void read_output();
  void read_input();
  void write(Held& held, const sys::Fd& to);
  void end_input();
  void arm();
  void arm(Watch& watch, const sys::Fd& fd, uint32_t events, void (TerminalPump::*ready)(uint32_t));
  void in_ready(uint32_t) { read_input(), arm(); }
  void out_ready(uint32_t) { write(output_, out_), arm(); }

  Loop& loop_;
  sys::Fd master_;
  sys::Fd in_;
  sys::Fd out_;
  std::function<void()> ended_;
  Held output_;
  Held input_;
  bool hung_up_ = false;
  Watch master_watch_;
  Watch in_watch_;
  Watch out_watch_;
};

}  // namespace coracle::shim
