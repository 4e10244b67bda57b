#include "runtime/engine/console.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "runtime/sys/unix_socket.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::engine {

using spec::cat;
using spec::Error;

void check_detached_terminal(const spec::Process& process, bool detach, bool has_console_socket) {
  if (!process.terminal || !detach || has_console_socket) return;
  throw Error::at("process.terminal",
                  "true, and with --detach nobody is at the other end of the terminal: give "
                  "--console-socket, or set it to false");
}

void check_input(const spec::Process& process, bool has_console_socket) {
  if (!process.terminal || has_console_socket || isatty(STDIN_FILENO)) return;
  throw Error::at("process.terminal",
                  "true, and standard input is not a terminal: run it from a terminal, give "
                  "--console-socket, or set it to false");
}

void send_descriptor(const std::string& path, const sys::Fd& fd, std::string_view data) {
  const sys::Fd socket = sys::connect_path(path.c_str(), SOCK_STREAM);
  if (!socket) throw Error(cat("connect to ", path), socket.error());
  const int r = sys::send_with_fd(socket, data, fd);
  if (r < 0) throw Error(cat("send to ", path), r);
}

void suit_output(const sys::Fd& master) {
  termios settings;
  if (isatty(STDOUT_FILENO) || tcgetattr(master.get(), &settings) < 0) return;
  settings.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
  tcsetattr(master.get(), TCSANOW, &settings);  // gone already: then nothing comes out of it
}

static_assert(sizeof(termios) <= 64);

RawTerminal::RawTerminal() {
  termios settings;
  if (tcgetattr(STDIN_FILENO, &settings) < 0) return;  // no terminal: nothing to do
  memcpy(saved_, &settings, sizeof(settings));
  const tcflag_t endings = settings.c_oflag & OPOST;
  cfmakeraw(&settings);
  if (!isatty(STDOUT_FILENO)) settings.c_oflag |= endings;
  active_ = tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0;
}

RawTerminal::~RawTerminal() {
  if (!active_) return;
  termios settings;
  memcpy(&settings, saved_, sizeof(settings));
  tcsetattr(STDIN_FILENO, TCSANOW, &settings);  // a terminal that is gone needs no settings
}

void copy_window_size(const sys::Fd& master) {
  winsize size;
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) ioctl(master.get(), TIOCSWINSZ, &size);
}

}  // namespace coracle::engine
