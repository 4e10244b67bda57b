// A connection to a D-Bus bus, or to systemd itself without one: calls with an end to the waiting.
//
// The client's side of the specification, no more of it than a call, its answer and one kind of
// signal need: authentication as who the kernel says we are, no file descriptors, no objects of our
// own. libdbus was not taken: it would add 190 KiB and, by way of its defaults, reads of the
// machine id and the start of a bus to every use; what is left out here is most of it.
//
//   client                                  server
//     | NUL AUTH EXTERNAL, DATA, BEGIN -----> |  without a uid: in a user namespace we do not know
//     | <------------------- DATA, OK guid -- |  the one that the server sees
//     | Hello, ... -------------------------> |  a bus only
//
// Every function throws spec::Error, with the address in the message, when the other side is gone,
// answers with something else than D-Bus, or does not answer before the deadline; the connection
// is of no use after that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/sys/deadline.h"
#include "runtime/sys/fd.h"
#include "runtime/systemd/message.h"

namespace coracle::systemd {

class Bus {
 public:
  // `address` is of the specification's form, "unix:path=/run/dbus/system_bus_socket": one
  // transport, unix:path or unix:abstract. An address that ends in "/systemd/private" is systemd's
  // own socket.
  Bus(std::string address, const sys::Deadline& deadline);
  // The same over a socket that is connected already.
  Bus(std::string address, sys::Fd socket, const sys::Deadline& deadline);

  const std::string& address() const { return address_; }
  // systemd at the other end of the line, with no bus in between.
  bool is_private() const;

  // Sends the call; its number, to wait for. `message.serial` is set.
  uint32_t post(Message message, const sys::Deadline& deadline);
  // The return or the error that answers it. Signals that arrive meanwhile are kept for
  // next_signal, as far as they are wanted.
  Message wait_reply(uint32_t serial, const sys::Deadline& deadline);
  Message call(Message message, const sys::Deadline& deadline);

  // Which signals next_signal tells of; all others are dropped.
  void want_signal(std::string interface, std::string member);
  Message next_signal(const sys::Deadline& deadline);

 private:
  void authenticate(const sys::Deadline& deadline);
  std::string read_line(const sys::Deadline& deadline);
  void fill(const sys::Deadline& deadline);
  void send(std::string_view bytes, const sys::Deadline& deadline);
  Message receive(const sys::Deadline& deadline);
  bool is_wanted(const Message& message) const;
  [[noreturn]] void fail(std::string_view what, long error = 0) const;

  std::string address_;
  sys::Fd socket_;
  std::string buffer_;
  uint32_t serial_ = 0;
  std::string wanted_interface_;
  std::string wanted_member_;
  std::vector<Message> signals_;
};

}  // namespace coracle::systemd
