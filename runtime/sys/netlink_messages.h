// The messages of rtnetlink(7) about network devices and their addresses, written and read with
// libmnl. No socket and no system call: what the kernel might answer is fed to it by tests.
//
//   request  ->  one message, with NLM_F_ACK or (addresses) NLM_F_DUMP
//   answer   <-  datagrams with messages of the same sequence number, the last of which is
//                NLMSG_ERROR (of 0: it is done) or NLMSG_DONE
#pragma once

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

namespace coracle::sys {

struct Link {
  int index = 0;
  uint32_t flags = 0;  // IFF_*
  std::string name;    // the device's own, where it was asked for by an alternative one
};

// An address of a device, as the kernel told it and takes it.
struct LinkAddress {
  ifaddrmsg message = {};
  uint32_t flags = 0;      // IFA_F_*, all 32 bits of them
  std::string attributes;  // IFA_*, as they came, but for flags and label
};

// One request, in room enough for any of those below.
class NetlinkRequest {
 public:
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_); }
  const void* data() const { return bytes_; }
  size_t size() const { return reinterpret_cast<const nlmsghdr*>(bytes_)->nlmsg_len; }

 private:
  static constexpr size_t kRoom = 1024;
  alignas(nlmsghdr) unsigned char bytes_[kRoom] = {};  // older libmnl does not clear the padding
};

// The device of that name (or of that number, with an empty name).
void write_link_query(NetlinkRequest& out, const char* name, int index);
// Device `index` moves to the network namespace behind the fd, under another name ("eth%d": the
// kernel puts a number there) and number. Where the number is taken: EBUSY (Linux 5.13).
void write_link_move(NetlinkRequest& out, int index, int netns_fd, const char* name, int new_index);
// IFF_UP on.
void write_link_up(NetlinkRequest& out, int index);
// All addresses of all devices: older kernels do not filter a dump.
void write_address_dump(NetlinkRequest& out);
// This address for device `index`. -EMSGSIZE if its attributes are more than any kernel sends.
int write_address(NetlinkRequest& out, const LinkAddress& address, int index);

// The messages that come before the end of an answer, one call each.
class NetlinkVisitor {
 public:
  virtual void visit(const nlmsghdr& message) = 0;

 protected:
  ~NetlinkVisitor() = default;
};

struct NetlinkAnswer {
  bool done = false;
  int error = 0;      // 0 or -errno, as the kernel gave it; -EINTR: a dump that changed meanwhile
  std::string words;  // the kernel's explanation (NLMSGERR_ATTR_MSG), if it gave one
};

// Reads one datagram of the answer to request `sequence` of socket `port`. 0; -EBADMSG if a message
// is cut short or longer than the datagram; -EPROTO if one belongs to another request, unless to an
// earlier one: that is passed over.
int read_answer(const void* data, size_t size, uint32_t sequence, uint32_t port,
                NetlinkVisitor* visitor, NetlinkAnswer& answer);

// What one RTM_NEWLINK tells. False if it is none, or malformed.
bool read_link(const nlmsghdr& message, Link& out);
// What one RTM_NEWADDR tells, if it is an address of device `index` that has to go with it: a
// permanent one of global scope (config-linux.md, "Network Devices").
bool read_kept_address(const nlmsghdr& message, int index, LinkAddress& out);

}  // namespace coracle::sys
