// Network devices of a network namespace, by rtnetlink(7) through libmnl. Every call is one request
// and its answer; it returns 0 or -errno, and words() is what the kernel said about the last one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/sys/fd.h"
#include "runtime/sys/netlink_messages.h"

struct mnl_socket;

namespace coracle::sys {

class NetworkDevices {
 public:
  // The devices of the caller's network namespace, or of the one behind `netns`, which takes
  // CAP_SYS_ADMIN over it (setns(2)). Never moves the caller. error() tells whether it worked.
  static NetworkDevices own();
  static NetworkDevices of(const Fd& netns);
  int error() const { return error_; }

  // -ENODEV where there is none of that name (or number).
  int find(const char* name, Link& out);
  int find(int index, Link& out);
  // The permanent addresses of global scope, in the order in which they were given.
  int addresses(int index, std::vector<LinkAddress>& out);
  // Moves device `index` to another network namespace, where it gets this name and number: down,
  // and without addresses. -EBUSY: the number is taken there. -EEXIST: the name is; the device may
  // have been moved all the same (it is renamed behind the move).
  int move(int index, const Fd& netns, const char* name, int new_index);
  int add_address(int index, const LinkAddress& address);
  int set_up(int index);

  // The kernel's explanation of the last failure, or "".
  const std::string& words() const { return words_; }

 private:
  explicit NetworkDevices(Fd socket);
  int ask(NetlinkRequest& request, NetlinkVisitor* visitor);
  int receive(NetlinkVisitor* visitor, NetlinkAnswer& answer);
  int query(const char* name, int index, Link& out);

  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  std::unique_ptr<mnl_socket, Close> socket_;
  std::vector<char> buffer_;
  std::string words_;
  uint32_t sequence_ = 0;
  int error_ = 0;
};

}  // namespace coracle::sys
