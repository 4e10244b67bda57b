// Terminals on the outside: handing a pty master to a console socket, and being the terminal's
// other end in the foreground.
#pragma once

#include <string>

#include "runtime/sys/fd.h"
#include "spec/spec.h"

namespace coracle::engine {

// For run and exec, before anything is made: a program that is left alone needs somebody else at
// the other end of its terminal. Throws spec::Error.
void check_detached_terminal(const spec::Process& process, bool detach, bool has_console_socket);
// For run, which is the other end itself: its standard input must be a terminal, or the program
// waits for a line that nobody can type. Throws spec::Error.
void check_input(const spec::Process& process, bool has_console_socket);

// Connects to the AF_UNIX stream socket at `path` and sends `fd` with SCM_RIGHTS beside the one
// message `data` (features: the pty's name; receivers only log it). No answer is awaited.
// Throws spec::Error. Paths longer than sun_path are reached through their directory.
void send_descriptor(const std::string& path, const sys::Fd& fd, std::string_view data);

// The pty behind `master` is shown in the foreground. Where our standard output is no terminal its
// lines end as the program ended them, without the carriage return that only a screen needs
// (ONLCR, termios(3)); else the pty adds it, as the caller's terminal, raw, does not.
void suit_output(const sys::Fd& master);

// While it lives, the caller's terminal (if stdin is one) is in raw mode. Where output goes
// elsewhere, perhaps through a filter to that very terminal, it goes on ending lines itself.
class RawTerminal {
 public:
  RawTerminal();
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  bool active_ = false;
  alignas(8) unsigned char saved_[64];
};

// Gives the pty behind `master` the size of the terminal on stdin; without one, leaves it.
void copy_window_size(const sys::Fd& master);

}  // namespace coracle::engine
