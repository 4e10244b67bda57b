#include "runtime/engine/net_devices.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>

#include "runtime/engine/steps.h"
#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::engine {

using spec::cat;
using spec::Error;

namespace {

// What was tried, with the kernel's own explanation, if it gave one, in place of errno's words.
[[noreturn]] void fail(const std::string& what, int error, const std::string& words) {
  throw words.empty() ? Error(what, error) : Error(cat(what, ": ", words), error);
}

sys::Fd open_namespace(const std::string& path) {
  sys::Fd file = sys::open_at(sys::At::cwd(), path.c_str(), O_RDONLY);
  if (!file) throw Error(path, file.error());
  return file;
}

bool same_file(const sys::Fd& a, const sys::Fd& b) {
  struct stat x, y;
  return sys::stat_fd(a, x) == 0 && sys::stat_fd(b, y) == 0 && x.st_dev == y.st_dev &&
         x.st_ino == y.st_ino;
}

}  // namespace

void NetDevices::open_ends(pid_t pid) {
  if (!ends_.empty()) return;
  here_ = open_namespace("/proc/thread-self/ns/net");
  there_ = open_namespace(cat("/proc/", pid, "/ns/net"));
  if (same_file(here_, there_))
    throw Error(
        "the container's network namespace is the runtime's own: there is nowhere to move to");
  ends_.push_back(sys::NetworkDevices::own());
  ends_.push_back(sys::NetworkDevices::of(there_));
  for (const sys::NetworkDevices& end : ends_)
    if (end.error() < 0) throw Error("netlink socket", end.error());
}

// "If a network device with the specified name already exists in the container namespace, the
// runtime MUST generate an error, unless the user has provided a template by appending %d".
void NetDevices::check_target(const std::string& name) {
  if (name.ends_with("%d")) return;
  sys::Link other;
  const int r = ends_[1].find(name.c_str(), other);
  if (r == 0)
    throw Error(cat("a network device ", spec::quoted(name),
                    " exists already in the container's network namespace"));
  if (r != -ENODEV) fail("looking for the new name in the container", r, ends_[1].words());
}

// The number stays if it is free there, so that the device can be found again whatever name the
// kernel makes of a template; else the next free one. Renaming comes behind the move: a name that
// somebody takes in between is an error of a device that is gone from here.
void NetDevices::change_namespace(Moved& device, const char* new_name) {
  constexpr int kTries = 1 << 12;
  int r = -EBUSY;
  for (int i = 0; r == -EBUSY && i < kTries; ++i) {
    device.index = device.link.index + i;
    r = ends_[0].move(device.link.index, there_, new_name, device.index);
  }
  if (r == 0) return moved_.push_back(device);
  const std::string words = ends_[0].words();
  sys::Link still;
  if (ends_[0].find(device.link.index, still) == -ENODEV) moved_.push_back(device);
  fail("moving it to the container's network namespace", r, words);
}

void NetDevices::settle(sys::NetworkDevices& where, const Moved& device, int index, bool up) {
  for (const sys::LinkAddress& address : device.addresses) {
    const int r = where.add_address(index, address);
    if (r < 0) fail("giving it its address again", r, where.words());
  }
  if (!up) return;
  if (const int r = where.set_up(index); r < 0) fail("setting it up", r, where.words());
}

void NetDevices::move(pid_t pid, const char* name, const char* new_name) {
  open_ends(pid);
  Moved device{};
  int r = ends_[0].find(name, device.link);
  if (r == -ENODEV) throw Error("no such network device in the runtime's network namespace");
  if (r < 0) fail("looking for it", r, ends_[0].words());
  const std::string wanted = new_name[0] != '\0' ? new_name : device.link.name;
  check_target(wanted);
  r = ends_[0].addresses(device.link.index, device.addresses);
  if (r < 0) fail("reading its addresses", r, ends_[0].words());
  change_namespace(device, wanted.c_str());
  settle(ends_[1], device, device.index, true);
}

void NetDevices::give_back(const Moved& device) {
  const sys::Link& link = device.link;
  const int r = ends_[1].move(device.index, here_, link.name.c_str(), link.index);
  if (r < 0) fail("moving it out of the container", r, ends_[1].words());
  settle(ends_[0], device, link.index, (link.flags & IFF_UP) != 0);
}

void NetDevices::give_back() noexcept {
  for (; !moved_.empty(); moved_.pop_back()) {
    try {
      give_back(moved_.back());
    } catch (const std::exception& e) {
      log::warning(cat("network device ", spec::quoted(moved_.back().link.name), ": ", e.what()));
    }
  }
}

void run(Walk& w, const plan::NetDevice& p) {
  const plan::View v = w.view();
  try {
    w.net_devices.move(w.child.pid, v.c_str(p.name), v.c_str(p.new_name));
  } catch (Error& e) {
    e.wrap(v.str(w.step().origin));
    throw;
  }
}

}  // namespace coracle::engine
