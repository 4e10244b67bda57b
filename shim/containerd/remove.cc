#include "shim/containerd/remove.h"

#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

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

// Nothing if there is no such container, which is the usual case.
std::optional<store::Record> left_record(const std::string& root, const std::string& id) {
  try {
    return store::Container::open(root, id).record();
  } catch (const Error& e) {
    log::debug(e.what());
    return std::nullopt;
  }
}

Exit killed(pid_t pid) { return {static_cast<uint32_t>(pid), kSignalled + SIGKILL, sys::now()}; }

// Whether nobody serves there any more; a socket that was left is taken away. A shim that serves
// others of the pod lives on.
bool take_dead_socket(const std::string& address) {
  const std::string scheme = address_of("");
  if (!address.starts_with(scheme)) return false;
  const std::string path = address.substr(scheme.size());
  const sys::Fd probe = sys::connect_path(path.c_str(), SOCK_STREAM | SOCK_NONBLOCK);
  if (probe.error() == ECONNREFUSED) sys::unlink_at(sys::At::cwd(), path.c_str());
  return probe.error() == ECONNREFUSED || probe.error() == ENOENT;  // containerd 2 takes it away
}

// Another container of the killed shim's, if it is one. A `delete` of its own, which containerd
// before 2.0 sends, finds its exit on record.
void remove_sibling(const std::string& root, const std::string& id, const std::string& address) {
  const std::optional<store::Record> record = left_record(root, id);
  if (!record || record->shim != address) return;
  try {
    if (read_exit(record->bundle).pid == 0) write_exit(record->bundle, killed(record->process.pid));
  } catch (const Error& e) {  // containerd has taken the bundle away, and asks no more
    log::debug(e.what());
  }
  remove_container(root, id, cat(record->bundle, "/rootfs"));
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
  const std::optional<store::Record> record = left_record(root, invocation.id);
  if (exit.pid == 0) exit = killed(record ? record->process.pid : 0);
  remove_container(root, invocation.id, cat(bundle, "/rootfs"));
  const std::string address = read_address(bundle);
  if (take_dead_socket(address) && record) remove_siblings(root, address);
  const std::string answer = delete_response(exit.pid, exit.status, exit.at);
  if (int r = sys::print(answer)) throw Error("standard output", r);
}

}  // namespace coracle::shim
