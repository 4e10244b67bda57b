// The functions of libmnl that netlink.cc and netlink_messages.cc call, by their own names and to
// their own header, for builds where libmnl cannot be linked: Debian has no static archive of it.
// Where there is one (meson.build), this file is left out. A test puts each function beside the
// library's and compares every byte (tests/unit/mnl_test.cc), so there is nothing here that libmnl
// does not do.
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>

namespace {

template <class T>
T* at(const void* start, size_t offset) {
  return reinterpret_cast<T*>(
      const_cast<unsigned char*>(static_cast<const unsigned char*>(start) + offset));
}

}  // namespace

struct mnl_socket {
  int fd;
  sockaddr_nl address;
};

extern "C" {

// ---- messages ----------------------------------------------------------------------------------

nlmsghdr* mnl_nlmsg_put_header(void* buffer) {
  memset(buffer, 0, MNL_NLMSG_HDRLEN);
  auto* message = static_cast<nlmsghdr*>(buffer);
  message->nlmsg_len = MNL_NLMSG_HDRLEN;
  return message;
}

void* mnl_nlmsg_put_extra_header(nlmsghdr* message, size_t size) {
  void* place = at<void>(message, message->nlmsg_len);
  memset(place, 0, MNL_ALIGN(size));
  message->nlmsg_len += static_cast<uint32_t>(MNL_ALIGN(size));
  return place;
}

// `length`: of what was received, from this message on.
bool mnl_nlmsg_ok(const nlmsghdr* message, int length) {
  return length >= static_cast<int>(sizeof(nlmsghdr)) && message->nlmsg_len >= sizeof(nlmsghdr) &&
         message->nlmsg_len <= static_cast<uint32_t>(length);
}

nlmsghdr* mnl_nlmsg_next(const nlmsghdr* message, int* length) {
  const uint32_t size = MNL_ALIGN(message->nlmsg_len);
  *length -= static_cast<int>(size);
  return at<nlmsghdr>(message, size);
}

// A 0 on either side is anybody's: a notification.
bool mnl_nlmsg_seq_ok(const nlmsghdr* message, unsigned int sequence) {
  return message->nlmsg_seq == 0 || sequence == 0 || message->nlmsg_seq == sequence;
}

bool mnl_nlmsg_portid_ok(const nlmsghdr* message, unsigned int port) {
  return message->nlmsg_pid == 0 || port == 0 || message->nlmsg_pid == port;
}

size_t mnl_nlmsg_get_payload_len(const nlmsghdr* message) {
  return message->nlmsg_len - MNL_NLMSG_HDRLEN;
}

void* mnl_nlmsg_get_payload(const nlmsghdr* message) { return at<void>(message, MNL_NLMSG_HDRLEN); }

void* mnl_nlmsg_get_payload_offset(const nlmsghdr* message, size_t offset) {
  return at<void>(message, MNL_NLMSG_HDRLEN + MNL_ALIGN(offset));
}

void* mnl_nlmsg_get_payload_tail(const nlmsghdr* message) {
  return at<void>(message, MNL_ALIGN(message->nlmsg_len));
}

// ---- attributes --------------------------------------------------------------------------------

void mnl_attr_put(nlmsghdr* message, uint16_t type, size_t length, const void* data) {
  auto* attribute = static_cast<nlattr*>(mnl_nlmsg_get_payload_tail(message));
  attribute->nla_type = type;
  attribute->nla_len = static_cast<uint16_t>(MNL_ATTR_HDRLEN + length);
  auto* payload = at<unsigned char>(attribute, MNL_ATTR_HDRLEN);
  if (length > 0) memcpy(payload, data, length);
  memset(payload + length, 0, MNL_ALIGN(length) - length);
  message->nlmsg_len += static_cast<uint32_t>(MNL_ALIGN(attribute->nla_len));
}

void mnl_attr_put_u32(nlmsghdr* message, uint16_t type, uint32_t value) {
  mnl_attr_put(message, type, sizeof(value), &value);
}

void mnl_attr_put_strz(nlmsghdr* message, uint16_t type, const char* text) {
  mnl_attr_put(message, type, strlen(text) + 1, text);
}

// `length`: of what is left of the message, from this attribute on.
bool mnl_attr_ok(const nlattr* attribute, int length) {
  return length >= static_cast<int>(sizeof(nlattr)) && attribute->nla_len >= sizeof(nlattr) &&
         attribute->nla_len <= length;
}

nlattr* mnl_attr_next(const nlattr* attribute) {
  return at<nlattr>(attribute, MNL_ALIGN(attribute->nla_len));
}

uint16_t mnl_attr_get_type(const nlattr* attribute) { return attribute->nla_type & NLA_TYPE_MASK; }

uint16_t mnl_attr_get_payload_len(const nlattr* attribute) {
  return static_cast<uint16_t>(attribute->nla_len - MNL_ATTR_HDRLEN);
}

void* mnl_attr_get_payload(const nlattr* attribute) { return at<void>(attribute, MNL_ATTR_HDRLEN); }

uint32_t mnl_attr_get_u32(const nlattr* attribute) {
  uint32_t value;
  memcpy(&value, mnl_attr_get_payload(attribute), sizeof(value));
  return value;
}

// ---- socket ------------------------------------------------------------------------------------

mnl_socket* mnl_socket_fdopen(int fd) {
  sockaddr_nl address = {};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) < 0) return nullptr;
  auto* socket = static_cast<mnl_socket*>(calloc(1, sizeof(mnl_socket)));
  if (socket == nullptr) return nullptr;
  socket->fd = fd;
  if (address.nl_family == AF_NETLINK) socket->address = address;
  return socket;
}

// The kernel chooses the port id where `port` is 0.
int mnl_socket_bind(mnl_socket* socket, unsigned int groups, pid_t port) {
  socket->address = {};
  socket->address.nl_family = AF_NETLINK;
  socket->address.nl_groups = groups;
  socket->address.nl_pid = static_cast<uint32_t>(port);
  auto* address = reinterpret_cast<sockaddr*>(&socket->address);
  socklen_t length = sizeof(socket->address);
  if (bind(socket->fd, address, length) < 0) return -1;
  if (getsockname(socket->fd, address, &length) < 0) return -1;
  if (length == sizeof(sockaddr_nl) && socket->address.nl_family == AF_NETLINK) return 0;
  errno = EINVAL;
  return -1;
}

unsigned int mnl_socket_get_portid(const mnl_socket* socket) { return socket->address.nl_pid; }

int mnl_socket_setsockopt(const mnl_socket* socket, int type, void* value, socklen_t length) {
  return setsockopt(socket->fd, SOL_NETLINK, type, value, length);
}

ssize_t mnl_socket_sendto(const mnl_socket* socket, const void* data, size_t size) {
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  return sendto(socket->fd, data, size, 0, reinterpret_cast<const sockaddr*>(&kernel),
                sizeof(kernel));
}

// A datagram that does not fit is -1 with ENOSPC.
ssize_t mnl_socket_recvfrom(const mnl_socket* socket, void* buffer, size_t size) {
  sockaddr_nl sender = {};
  iovec part = {buffer, size};
  msghdr message = {};
  message.msg_name = &sender;
  message.msg_namelen = sizeof(sender);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t n = recvmsg(socket->fd, &message, 0);
  if (n < 0) return n;
  if ((message.msg_flags & MSG_TRUNC) != 0) {
    errno = ENOSPC;
    return -1;
  }
  if (message.msg_namelen == sizeof(sockaddr_nl)) return n;
  errno = EINVAL;
  return -1;
}

int mnl_socket_close(mnl_socket* socket) {
  const int r = close(socket->fd);
  free(socket);
  return r;
}

}  // extern "C"
