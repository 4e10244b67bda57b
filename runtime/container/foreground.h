// Waiting in the foreground for a program: signals are handed on, a terminal's bytes copied, its
// end told. One poll loop, no thread.
#pragma once

#include <sys/types.h>

#include "runtime/container/notify.h"
#include "runtime/sys/fd.h"

namespace coracle::container {

struct Foreground {
  pid_t pid;  // our child
  const sys::Fd& pidfd;
  sys::Fd& console;              // pty master, or nothing
  Notifier* notifier = nullptr;  // told to the caller when it is ready
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

// The wait status, as waitpid(2) gives it. Throws spec::Error.
int wait_foreground(const Foreground& program, const SignalGate& gate);

// What a shell would say of it: the exit status; 128 + signal when killed.
int exit_status(int wait_status);

}  // namespace coracle::container
