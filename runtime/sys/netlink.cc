#include "runtime/sys/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include "runtime/sys/process.h"

namespace coracle::sys {
namespace {

// The kernel fills a datagram of a dump up to this much, if the reader has room for it.
constexpr size_t kDatagram = 32 << 10;
constexpr int kDumpTries = 10;

Fd netlink_socket() {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  return Fd(fd < 0 ? -errno : fd);
}

struct Errand {
  int netns;
  int fd;
};

int open_there(void* argument) {
  auto& errand = *static_cast<Errand*>(argument);
  if (::setns(errand.netns, CLONE_NEWNET) < 0) {
    errand.fd = -errno;
  } else {
    errand.fd = netlink_socket().release();
  }
  return 0;
}

// A socket belongs to the network namespace in which it is made. A child that shares our memory and
// descriptors goes there and makes it, so that no failure can leave us in a strange namespace.
Fd netlink_socket_in(const Fd& netns) {
  alignas(16) char stack[16 << 10];
  Errand errand = {netns.get(), -ECHILD};
  const pid_t child = ::clone(open_there, stack + sizeof(stack),
                              CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &errand);
  if (child < 0) return Fd(-errno);
  int status = 0;
  const int r = reap(child, status);
  return Fd(r < 0 ? r : errand.fd);
}

class LinkReader final : public NetlinkVisitor {
 public:
  explicit LinkReader(Link& out) : out_(out) {}
  void visit(const nlmsghdr& message) override { found_ = read_link(message, out_) || found_; }
  bool found() const { return found_; }

 private:
  Link& out_;
  bool found_ = false;
};

class AddressReader final : public NetlinkVisitor {
 public:
  AddressReader(int index, std::vector<LinkAddress>& out) : index_(index), out_(out) {}
  void visit(const nlmsghdr& message) override {
    LinkAddress address;
    if (read_kept_address(message, index_, address)) out_.push_back(std::move(address));
  }

 private:
  int index_;
  std::vector<LinkAddress>& out_;
};

}  // namespace

void NetworkDevices::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

// NETLINK_EXT_ACK and NETLINK_CAP_ACK (Linux 4.12, 4.3): an error comes with words, and without a
// copy of the request.
NetworkDevices::NetworkDevices(Fd socket) : error_(-socket.error()) {
  if (!socket) return;
  socket_.reset(mnl_socket_fdopen(socket.get()));
  if (!socket_) {
    error_ = -errno;
    return;
  }
  socket.release();  // closed with the other
  int on = 1;
  if (mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0 ||
      mnl_socket_setsockopt(socket_.get(), NETLINK_CAP_ACK, &on, sizeof(on)) < 0 ||
      mnl_socket_setsockopt(socket_.get(), NETLINK_EXT_ACK, &on, sizeof(on)) < 0)
    error_ = -errno;
  buffer_.resize(kDatagram);
}

NetworkDevices NetworkDevices::own() { return NetworkDevices(netlink_socket()); }

NetworkDevices NetworkDevices::of(const Fd& netns) {
  return NetworkDevices(netlink_socket_in(netns));
}

int NetworkDevices::receive(NetlinkVisitor* visitor, NetlinkAnswer& answer) {
  while (!answer.done) {
    const ssize_t n = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    const uint32_t port = mnl_socket_get_portid(socket_.get());
    const int r =
        read_answer(buffer_.data(), static_cast<size_t>(n), sequence_, port, visitor, answer);
    if (r < 0) return r;
  }
  return answer.error;
}

int NetworkDevices::ask(NetlinkRequest& request, NetlinkVisitor* visitor) {
  words_.clear();
  if (error_ < 0) return error_;
  request.header()->nlmsg_seq = ++sequence_;
  ssize_t n;
  do {
    n = mnl_socket_sendto(socket_.get(), request.data(), request.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) return -errno;
  NetlinkAnswer answer;
  const int r = receive(visitor, answer);
  words_ = std::move(answer.words);
  return r;
}

int NetworkDevices::query(const char* name, int index, Link& out) {
  NetlinkRequest request;
  write_link_query(request, name, index);
  LinkReader reader(out);
  if (const int r = ask(request, &reader); r < 0) return r;
  return reader.found() ? 0 : -EBADMSG;
}

int NetworkDevices::find(const char* name, Link& out) { return query(name, 0, out); }
int NetworkDevices::find(int index, Link& out) { return query("", index, out); }

// -EINTR is an answer too: the addresses changed while the kernel told them.
int NetworkDevices::addresses(int index, std::vector<LinkAddress>& out) {
  int r = -EINTR;
  for (int tries = 0; r == -EINTR && tries < kDumpTries; ++tries) {
    out.clear();
    NetlinkRequest request;
    write_address_dump(request);
    AddressReader reader(index, out);
    r = ask(request, &reader);
  }
  return r;
}

int NetworkDevices::move(int index, const Fd& netns, const char* name, int new_index) {
  NetlinkRequest request;
  write_link_move(request, index, netns.get(), name, new_index);
  return ask(request, nullptr);
}

int NetworkDevices::add_address(int index, const LinkAddress& address) {
  NetlinkRequest request;
  if (const int r = write_address(request, address, index); r < 0) return r;
  return ask(request, nullptr);
}

int NetworkDevices::set_up(int index) {
  NetlinkRequest request;
  write_link_up(request, index);
  return ask(request, nullptr);
}

}  // namespace coracle::sys
