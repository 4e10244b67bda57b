// The other side of a D-Bus connection, in a thread: as well-behaved, slow, silent or mad as a test
// wants it.
#pragma once

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/sys/fd.h"
#include "runtime/systemd/message.h"

namespace coracle::tests {

class FakeSystemd {
 public:
  using Handler = std::function<void(FakeSystemd&, const systemd::Message&)>;

  // Lets the client in, then gives each call to the handler, until the client is gone.
  explicit FakeSystemd(Handler handler)
      : FakeSystemd([handler = std::move(handler)](FakeSystemd& self) {
          if (self.let_in()) self.serve(handler);
        }) {}
  // Does what it likes with the socket.
  explicit FakeSystemd(std::function<void(FakeSystemd&)> life) {
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    ours_ = sys::Fd(pair[0]);
    client_ = sys::Fd(pair[1]);
    thread_ = std::thread([this, life = std::move(life)] {
      life(*this);
      shutdown(ours_.get(), SHUT_RDWR);
    });
  }
  ~FakeSystemd() {
    client_.reset();
    thread_.join();
  }

  sys::Fd client() { return std::move(client_); }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(ours_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;  // the client has gone: its test knows why
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  bool read_more() {
    char bytes[4096];
    const ssize_t n = recv(ours_.get(), bytes, sizeof(bytes), 0);
    if (n > 0) buffer_.append(bytes, static_cast<size_t>(n));
    return n > 0;
  }
  bool let_in() {
    // Not before BEGIN: systemd 252 loses sight of a message that comes right behind it.
    while (buffer_.find("BEGIN\r\n") == buffer_.npos)
      if (!read_more()) return false;
    if (buffer_ != std::string("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", 29)) return false;
    buffer_.clear();
    write("DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n");
    return true;
  }
  void serve(const Handler& handler) {
    for (;;) {
      while (buffer_.size() < systemd::kFixedHeader ||
             buffer_.size() < systemd::message_size(buffer_))
        if (!read_more()) return;
      systemd::Message call;
      const size_t size = systemd::message_size(buffer_);
      if (!systemd::decode(std::string_view(buffer_).substr(0, size), call)) return;
      buffer_.erase(0, size);
      calls.push_back(call);
      handler(*this, call);
    }
  }

  void send_message(systemd::Message m) {
    m.serial = ++serial_;
    write(systemd::encode(m));
  }
  void reply(const systemd::Message& to, std::string signature, std::string body) {
    systemd::Message m;
    m.type = systemd::MessageType::kReturn;
    m.reply_serial = to.serial;
    m.signature = std::move(signature);
    m.body = std::move(body);
    send_message(m);
  }
  void refuse(const systemd::Message& to, std::string name, std::string_view words) {
    systemd::Message m;
    m.type = systemd::MessageType::kError;
    m.reply_serial = to.serial;
    m.error_name = std::move(name);
    m.signature = "s";
    m.body = systemd::Writer().string(words).bytes();
    send_message(m);
  }
  void job_removed(std::string_view job, std::string_view result) {
    systemd::Message m;
    m.type = systemd::MessageType::kSignal;
    m.path = "/org/freedesktop/systemd1";
    m.interface = "org.freedesktop.systemd1.Manager";
    m.member = "JobRemoved";
    m.signature = "uoss";
    m.body = systemd::Writer().u32(1).string(job).string("a.scope").string(result).bytes();
    send_message(m);
  }

  std::vector<systemd::Message> calls;  // to be looked at when the client is gone

 private:
  sys::Fd ours_;
  sys::Fd client_;
  std::string buffer_;
  uint32_t serial_ = 0;
  std::thread thread_;
};

}  // namespace coracle::tests
