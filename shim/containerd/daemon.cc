#include "shim/containerd/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <cerrno>

#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/memory.h"
#include "runtime/sys/protobuf.h"
#include "runtime/sys/unix_socket.h"
#include "shim/containerd/bundle.h"
#include "shim/containerd/service.h"
#include "shim/loop.h"
#include "spec/error.h"

namespace coracle::shim {

using spec::Error;
using sys::ProtoReader;
using sys::ProtoWriter;

std::string to_bytes(const DaemonSettings& settings) {
  ProtoWriter out;
  out.bytes(1, settings.name_space).bytes(2, settings.ttrpc_address).bytes(3, settings.socket);
  out.bytes(4, settings.log).number(5, settings.debug ? 1 : 0).number(6, settings.idle_ms);
  return out.take();
}

void await_daemon(const sys::Fd& channel) {
  char byte;
  ssize_t n;
  do {
    n = recv(channel.get(), &byte, sizeof(byte), 0);
  } while (n < 0 && errno == EINTR);
  if (n < 0) throw Error("wait for the daemon", errno);
  if (n == 0) throw Error("the daemon ended before it served; containerd's log may say why");
}

namespace {

DaemonSettings from_bytes(std::string_view bytes) {
  DaemonSettings out;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) out.name_space = in.bytes();
    if (in.field() == 2) out.ttrpc_address = in.bytes();
    if (in.field() == 3) out.socket = in.bytes();
    if (in.field() == 4) out.log = in.bytes();
    if (in.field() == 5) out.debug = in.number() != 0;
    if (in.field() == 6) out.idle_ms = static_cast<uint32_t>(in.number());
  }
  return out;
}

sys::Fd end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  sys::Fd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw Error("signalfd", errno);
  return fd;
}

}  // namespace

int serve(sys::Fd channel) {
  char bytes[16384];
  sys::Fd listener;
  const long n = sys::receive_with_fd(channel, bytes, sizeof(bytes), listener);
  if (n <= 0 || !listener) return 0;
  const DaemonSettings settings = from_bytes({bytes, static_cast<size_t>(n)});

  // Opened for reading too: it never waits, and a containerd that has gone breaks no pipe.
  const sys::Fd log = sys::open_at(sys::At::cwd(), settings.log.c_str(), O_RDWR | O_NONBLOCK);
  log::configure({"", false, settings.debug ? log::Level::kDebug : log::Level::kInfo});
  if (log) log::use_descriptor(&log);
  signal(SIGPIPE, SIG_IGN);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) throw Error("prctl", errno);

  Loop loop;
  const sys::Fd signals = end_signals();
  Service service(loop, std::move(listener),
                  {settings.name_space, settings.ttrpc_address, address_of(settings.socket),
                   static_cast<int>(settings.idle_ms), [path = settings.socket] {
                     sys::unlink_at(sys::At::cwd(), path.c_str());  // gone already: as wanted
                   }});
  const Watch on_signal(loop, signals, EPOLLIN, [&](uint32_t) {
    signalfd_siginfo info;
    if (read(signals.get(), &info, sizeof(info)) > 0) service.leave_if_idle();
  });
  // `start` may have been killed meanwhile: then nobody listens.
  send(channel.get(), "", 1, MSG_NOSIGNAL);
  channel.reset();
  constexpr int kIdleMs = 500;
  loop.when_idle(kIdleMs, sys::release_idle_memory);
  loop.run();
  return 0;
}

}  // namespace coracle::shim
