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

// Whether the shim was killed; its socket is then taken away. One that serves others of the pod
// lives on.
bool take_dead_socket(const std::string& address) {
  const std::string scheme = address_of("");
  if (!address.starts_with(scheme)) return false;
  const std::string path = address.substr(scheme.size());
  const sys::Fd probe = sys::connect_path(path.c_str(), SOCK_STREAM | SOCK_NONBLOCK);
  if (probe.error() != ECONNREFUSED) return false;
  sys::unlink_at(sys::At::cwd(), path.c_str());
  return true;
}

// Another container of the killed shim's, if it is one. A `delete` of its own, which containerd
// before 2.0 sends, finds its exit on record.
void remove_sibling(const std::string& root, const std::string& id, const std::string& address) {
  std::string bundle;
  Exit exit{0, kSignalled + SIGKILL, sys::now()};
  try {
    const store::Container container = store::Container::open(root, id);
    bundle = container.record().bundle;
    exit.pid = static_cast<uint32_t>(container.record().process.pid);
  } catch (const Error& e) {  // its own `delete` was faster
    log::debug(e.what());
    return;
  }
  if (read_address(bundle) != address) return;
  if (read_exit(bundle).pid == 0) write_exit(bundle, exit);
  remove_container(root, id, cat(bundle, "/rootfs"));
}

// containerd from 2.0 on sends a `delete` for the pod's sandbox alone when its shim was killed.
void remove_siblings(const std::string& root, const std::string& address) {
  for (const std::string& id : store::list_ids({root, false, false})) {
    try {
      remove_sibling(root, id, address);
    } catch (const Error& e) {
      log::warning(cat("container ", id, " of the same pod: ", e.what()));
    }
  }
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
  const std::string address = read_address(bundle);
  if (take_dead_socket(address)) remove_siblings(root, address);
  const std::string answer = delete_response(exit.pid, exit.status, exit.at);
  if (int r = sys::print(answer)) throw Error("standard output", r);
}

}  // namespace coracle::shim
