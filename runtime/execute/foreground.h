// Waiting in the foreground for a program: signals are handed on, a terminal's bytes copied, its
// exit status returned. One poll loop, no thread.
#pragma once

#include <sys/types.h>

#include "runtime/sys/fd.h"

namespace coracle::execute {

struct Foreground {
  pid_t pid;  // our child
  const sys::Fd& pidfd;
  sys::Fd& console;  // pty master, or nothing
};

// Blocks the signals that are to be handed on. Made before the program can end, so that none is
// lost in between; the mask is restored when it goes.
class SignalGate {
 public:
  SignalGate();
  ~SignalGate();
  SignalGate(const SignalGate&) = delete;
  SignalGate& operator=(const SignalGate&) = delete;
  const sys::Fd& fd() const { return fd_; }

 private:
  alignas(8) unsigned char saved_[128];
  sys::Fd fd_;
};

// The exit status; 128 + signal when killed. Throws spec::Error.
int wait_foreground(const Foreground& program, const SignalGate& gate);

}  // namespace coracle::execute
