#include "shim/containerd/remove.h"

#include <signal.h>
#include <sys/socket.h>

#include <cerrno>

#include "runtime/log.h"
#include "runtime/store/container.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/file.h"
#include "runtime/sys/stdio.h"
#include "runtime/sys/unix_socket.h"
#include "shim/children.h"
#include "shim/containerd/bundle.h"
#include "shim/containerd/messages.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

// 0 if there is no such container.
pid_t recorded_pid(const std::string& root, const std::string& id) {
  try {
    return store::Container::open(root, id).record().process.pid;
  } catch (const Error& e) {
    log::debug(e.what());
    return 0;
  }
}

// A shim that serves others of the pod lives on with its socket.
void remove_dead_socket(const std::string& address) {
  constexpr std::string_view kScheme = "unix://";
  if (!address.starts_with(kScheme)) return;
  const std::string path = address.substr(kScheme.size());
  const sys::Fd probe = sys::connect_path(path.c_str(), SOCK_STREAM | SOCK_NONBLOCK);
  if (probe.error() == ECONNREFUSED) sys::unlink_at(sys::At::cwd(), path.c_str());
}

}  // namespace

void remove_leftovers(const Invocation& invocation) {
  if (invocation.id.empty()) throw Error("delete: -id is missing");
  store::check_id(invocation.id);
  const std::string bundle = invocation.bundle.empty() ? "." : invocation.bundle;
  std::string root = read_state_root(bundle);
  if (root.empty()) root = state_root("", invocation.name_space);
  Exit exit = read_exit(bundle);
  if (exit.pid == 0) {
    const pid_t pid = recorded_pid(root, invocation.id);
    exit = {static_cast<uint32_t>(pid), kSignalled + SIGKILL, sys::now()};
  }
  remove_container(root, invocation.id, cat(bundle, "/rootfs"));
  remove_dead_socket(read_address(bundle));
  const std::string answer = delete_response(exit.pid, exit.status, exit.at);
  if (int r = sys::print(answer)) throw Error("standard output", r);
}

}  // namespace coracle::shim
