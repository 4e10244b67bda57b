// linux.netDevices: network devices of the caller's network namespace go into the container's.
//
//   before the move   name and addresses are read, and the name there is looked for: what can be
//                     refused is refused while nothing has happened
//   move and rename   one request
//   there             its permanent global addresses again, then up
//
// The devices stay there: when the namespace goes, the kernel sends those of hardware back to the
// initial one and ends virtual ones (network_namespaces(7)). Only a create that fails brings back
// what it moved. A create that is killed cannot: then the namespace, if it was new, ends with the
// init, and one that was joined keeps the devices.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/sys/netlink.h"

namespace coracle::engine {

class NetDevices {
 public:
  // Device `name` becomes `new_name` (may be "eth%d"; "" keeps the name) in the network namespace
  // of process `pid`. Throws spec::Error.
  void move(pid_t pid, const char* name, const char* new_name);
  // Everything back to where it was, the last first; what fails is told as a warning.
  void give_back() noexcept;
  // They are the container's now; its namespace is held no longer.
  void leave() noexcept { *this = NetDevices(); }

 private:
  struct Moved {
    sys::Link link;  // as it was here
    int index;       // there
    std::vector<sys::LinkAddress> addresses;
  };
  void open_ends(pid_t pid);
  void check_target(const std::string& name);
  void change_namespace(Moved& device, const char* new_name);
  void settle(sys::NetworkDevices& where, const Moved& device, int index, bool up);
  void give_back(const Moved& device);

  std::vector<Moved> moved_;
  sys::Fd here_, there_;                   // namespace files
  std::vector<sys::NetworkDevices> ends_;  // the devices here, and there
};

}  // namespace coracle::engine
