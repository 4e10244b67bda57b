#include "runtime/systemd/bus.h"

#include <cerrno>

#include "runtime/sys/stream.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::systemd {
namespace {

using spec::cat;
using spec::Error;

constexpr size_t kMaxLine = 512;     // of the authentication: "OK " and a guid are 36
constexpr size_t kMaxSignals = 256;  // kept while a reply is waited for

// "%2f" and the like (D-Bus Specification, "Server Addresses"); false if it is malformed.
bool unescape(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned value = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || end.ptr != digits.data() + 2) return false;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out.find('\0') == out.npos;
}

// The socket's name as connect_stream takes it; "" if we have no way there.
std::string socket_name(std::string_view address) {
  constexpr std::string_view kUnix = "unix:";
  if (address.substr(0, kUnix.size()) != kUnix) return "";
  address.remove_prefix(kUnix.size());
  while (!address.empty()) {
    const std::string_view pair = address.substr(0, address.find(','));
    address.remove_prefix(std::min(address.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    if (key != "path" && key != "abstract") continue;
    std::string name(key == "path" ? "" : "@");
    if (equals == pair.npos || !unescape(pair.substr(equals + 1), name)) return "";
    return key == "path" && name.substr(0, 1) != "/" ? "" : name;
  }
  return "";
}

}  // namespace

Bus::Bus(std::string address, const sys::Deadline& deadline) : address_(std::move(address)) {
  const std::string name = socket_name(address_);
  if (name.empty()) throw Error(cat("D-Bus address ", spec::quoted(address_), ": not unix:path="));
  socket_ = sys::connect_stream(name, deadline);
  if (!socket_) fail("cannot connect", -socket_.error());
  authenticate(deadline);
}

Bus::Bus(std::string address, sys::Fd socket, const sys::Deadline& deadline)
    : address_(std::move(address)), socket_(std::move(socket)) {
  authenticate(deadline);
}

bool Bus::is_private() const { return address_.ends_with("/systemd/private"); }

void Bus::fail(std::string_view what, long error) const {
  const std::string message = cat("D-Bus at ", address_, ": ", what);
  if (error == -ETIMEDOUT) throw Error(cat(message, ": no answer in time"));
  // The words of ENOENT would make an engine believe that the container's program is missing.
  if (error == -ENOENT) throw Error(cat(message, ": nobody is there"));
  if (error == 0) throw Error(message);
  throw Error(message, static_cast<int>(error));
}

void Bus::send(std::string_view bytes, const sys::Deadline& deadline) {
  const int r = sys::send_stream(socket_, bytes, deadline);
  // EPIPE: it is gone, and what it said before is there to be read.
  if (r && r != -EPIPE) fail("send", r);
}

// At least one byte more in the buffer.
void Bus::fill(const sys::Deadline& deadline) {
  char bytes[4096];
  const long n = sys::receive_stream(socket_, bytes, sizeof(bytes), deadline);
  if (n == 0) fail("closed by the other side");
  if (n < 0) fail("receive", n);
  buffer_.append(bytes, static_cast<size_t>(n));
}

std::string Bus::read_line(const sys::Deadline& deadline) {
  size_t end;
  while ((end = buffer_.find("\r\n")) == buffer_.npos) {
    if (buffer_.size() > kMaxLine) fail("does not speak D-Bus");
    fill(deadline);
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

void Bus::authenticate(const sys::Deadline& deadline) {
  using namespace std::string_view_literals;
  // BEGIN goes with the first bytes, and messages not before the answer to them: a message that
  // systemd (252) reads together with BEGIN it leaves lying until another one comes.
  send("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"sv, deadline);
  std::string line = read_line(deadline);
  if (line == "DATA" || line == "DATA ") line = read_line(deadline);
  if (line.substr(0, 3) != "OK ") {
    fail(cat("does not let us in: ", spec::quoted(std::string_view(line).substr(0, 80))));
  }
  if (is_private()) return;
  Message hello;
  hello.destination = "org.freedesktop.DBus";
  hello.path = "/org/freedesktop/DBus";
  hello.interface = "org.freedesktop.DBus";
  hello.member = "Hello";
  if (call(hello, deadline).type == MessageType::kError) fail("does not let us in: Hello");
}

uint32_t Bus::post(Message message, const sys::Deadline& deadline) {
  message.serial = ++serial_;
  send(encode(message), deadline);
  return serial_;
}

Message Bus::receive(const sys::Deadline& deadline) {
  while (buffer_.size() < kFixedHeader) fill(deadline);
  const size_t size = message_size(buffer_);
  if (size == 0) fail("does not speak D-Bus");
  while (buffer_.size() < size) fill(deadline);
  Message message;
  if (!decode(std::string_view(buffer_).substr(0, size), message)) fail("malformed message");
  buffer_.erase(0, size);
  // A flood of signals does not push the end of the waiting away.
  if (deadline.is_over()) fail("receive", -ETIMEDOUT);
  return message;
}

bool Bus::is_wanted(const Message& message) const {
  return message.type == MessageType::kSignal && message.interface == wanted_interface_ &&
         message.member == wanted_member_;
}

Message Bus::wait_reply(uint32_t serial, const sys::Deadline& deadline) {
  for (;;) {
    Message message = receive(deadline);
    const bool answer = message.type == MessageType::kReturn || message.type == MessageType::kError;
    if (answer && message.reply_serial == serial) return message;
    if (is_wanted(message) && signals_.size() < kMaxSignals) signals_.push_back(std::move(message));
  }
}

Message Bus::call(Message message, const sys::Deadline& deadline) {
  return wait_reply(post(std::move(message), deadline), deadline);
}

void Bus::want_signal(std::string interface, std::string member) {
  wanted_interface_ = std::move(interface);
  wanted_member_ = std::move(member);
}

Message Bus::next_signal(const sys::Deadline& deadline) {
  if (!signals_.empty()) {
    Message first = std::move(signals_.front());
    signals_.erase(signals_.begin());
    return first;
  }
  for (;;) {
    Message message = receive(deadline);
    if (is_wanted(message)) return message;
  }
}

}  // namespace coracle::systemd
