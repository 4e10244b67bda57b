// sd_notify(3) through the container's wall: whoever called with NOTIFY_SOCKET learns when the
// container's program is ready.
//
//   caller's NOTIFY_SOCKET        <─ READY=1, MAINPID, BARRIER ─  coracle start, or run
//   ROOT/ID/notify/notify.sock    <─ READY=1 ─  the container, as /run/notify/notify.sock
//
// `create` makes the directory and has it mounted; the socket is bound by who relays, so that there
// is none as long as nobody listens. `start` and `run --detach` stay until READY=1 has been passed
// on, or until the program ends; `run` in the foreground does it beside its other work. Nothing
// else that the container says is passed on: the rest of the protocol would let it steer its
// supervisor.
#pragma once

#include <string>
#include <string_view>

#include "runtime/store/container.h"
#include "runtime/sys/fd.h"
#include "spec/spec.h"

namespace coracle::container {

// Mount and variable that let the container find the socket.
class NotifyMount {
 public:
  // Adds them to `spec`, which then points into this object; `directory` is ROOT/ID/notify. False:
  // nothing was added, because there is no process, or because the bundle's maker does this himself
  // (NOTIFY_SOCKET is in process.env, with a mount at its place: Podman and conmon).
  bool add_to(spec::Spec& spec, std::string directory);

 private:
  std::string source_;
  std::string variable_;
};

// ROOT/ID/notify, for every user of the container to reach the socket in. Throws spec::Error.
void make_notify_directory(const store::Container& container);

class Notifier {
 public:
  // Nothing (false in bool context) if `caller`, the value of NOTIFY_SOCKET, is empty, or if the
  // container was created without it. Whatever else is in the way is warned of: the container can
  // run without.
  Notifier(const store::Container& container, std::string_view caller);

  explicit operator bool() const { return static_cast<bool>(socket_); }
  const sys::Fd& socket() const { return socket_; }  // to poll

  // Reads what is there. True at the first READY=1: then nothing more is to be read.
  bool is_ready();
  // Passes READY=1 on; with the pid of the program, if that is whom the caller is to watch.
  void tell(pid_t main_pid);
  // Until the caller has read what it was told (sd_notify_barrier(3)), at most 30 s: it looks up
  // who sent it, and that must not be gone.
  void await_caller();

  // All of it, for who has nothing else to do. Ends with the process.
  void relay(pid_t main_pid, const sys::Fd& process);

 private:
  void listen(const store::Container& container);
  void warn(std::string_view what, int error) const;

  std::string_view name_;
  sys::Fd socket_;
  sys::Fd caller_;
};

}  // namespace coracle::container
