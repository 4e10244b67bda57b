#include "runtime/sys/unix_socket.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"

namespace coracle::sys {
namespace {

int fill(sockaddr_un& address, const Fd& dir, const char* name) {
  address = {};
  address.sun_family = AF_UNIX;
  int length = ::snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
                          dir.get(), name);
  return length < static_cast<int>(sizeof(address.sun_path)) ? 0 : -ENAMETOOLONG;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Fd new_socket(int type) {
  int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  return Fd(fd < 0 ? -errno : fd);
}

// A connect cut short by a signal goes on by itself: for AF_UNIX it has not begun, so again.
Fd connect_to(const sockaddr_un& address, int type) {
  Fd socket = new_socket(type);
  if (!socket) return socket;
  while (::connect(socket.get(), generic(address), sizeof(address)) != 0) {
    if (errno != EINTR) return Fd(-errno);
  }
  return socket;
}

Fd listen_to(const sockaddr_un& address, int type, int backlog) {
  Fd socket = new_socket(type);
  if (!socket) return socket;
  // The file that bind makes takes its mode from the socket: no moment with a wider one, and no
  // change of the umask of the whole process.
  if (int r = chmod_fd(socket, 0600)) return Fd(r);
  if (::bind(socket.get(), generic(address), sizeof(address)) != 0) return Fd(-errno);
  if (::listen(socket.get(), backlog) != 0) return Fd(-errno);
  return socket;
}

// A name behind a first NUL, not in the file system (unix(7)).
Fd connect_abstract(std::string_view name, int type) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (name.empty() || name.size() >= sizeof(address.sun_path)) return Fd(-ENAMETOOLONG);
  ::memcpy(address.sun_path + 1, name.data(), name.size());
  Fd socket = new_socket(type);
  if (!socket) return socket;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::connect(socket.get(), generic(address), size) != 0) return Fd(-errno);
  return socket;
}

}  // namespace

Fd listen_at(const Fd& dir, const char* name, int type, int backlog) {
  sockaddr_un address;
  if (int r = fill(address, dir, name)) return Fd(r);
  return listen_to(address, type, backlog);
}

Fd listen_path(const char* path, int type, int backlog) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (::strlen(path) >= sizeof(address.sun_path)) return Fd(-ENAMETOOLONG);
  ::memcpy(address.sun_path, path, ::strlen(path) + 1);
  return listen_to(address, type, backlog);
}

Fd connect_at(const Fd& dir, const char* name, int type) {
  sockaddr_un address;
  if (int r = fill(address, dir, name)) return Fd(r);
  return connect_to(address, type);
}

Fd connect_path(const char* path, int type) {
  sockaddr_un address = {};
  if (::strlen(path) < sizeof(address.sun_path)) {
    address.sun_family = AF_UNIX;
    ::memcpy(address.sun_path, path, ::strlen(path) + 1);
    return connect_to(address, type);
  }
  const char* slash = ::strrchr(path, '/');
  if (!slash) return Fd(-ENAMETOOLONG);
  std::string parent(path, static_cast<size_t>(slash - path) + 1);
  Fd dir = open_at(At::cwd(), parent.c_str(), O_PATH | O_DIRECTORY);
  return dir ? connect_at(dir, slash + 1, type) : std::move(dir);
}

Fd connect_named(std::string_view name, int type) {
  if (!name.empty() && name.front() == '@') return connect_abstract(name.substr(1), type);
  return connect_path(std::string(name).c_str(), type);
}

Fd bind_datagrams(const Fd& dir, const char* name, mode_t mode) {
  sockaddr_un address;
  if (int r = fill(address, dir, name)) return Fd(r);
  Fd socket = new_socket(SOCK_DGRAM | SOCK_NONBLOCK);
  if (!socket) return socket;
  if (::bind(socket.get(), generic(address), sizeof(address)) != 0) return Fd(-errno);
  const int r = ::fchmodat(dir.get(), name, mode, 0) == 0 ? 0 : -errno;  // whatever the umask
  return r == 0 ? std::move(socket) : Fd(r);
}

long receive_datagram(const Fd& socket, void* buffer, size_t size) {
  ssize_t n;
  do {
    n = ::recv(socket.get(), buffer, size, MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

int send_datagram(const Fd& socket, std::string_view data) {
  ssize_t n;
  do {
    n = ::send(socket.get(), data.data(), data.size(), MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : 0;
}

Fd accept_own(const Fd& listener) {
  Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) return Fd(-errno);
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return Fd(-errno);
  const bool own = peer.uid == effective_uid() && peer.gid == effective_gid();
  return own || peer.uid == 0 ? std::move(socket) : Fd(-EACCES);
}

int send_with_fd(const Fd& socket, std::string_view data, const Fd& passed) {
  iovec part = {const_cast<char*>(data.data()), data.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  int fd = passed.get();
  ::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  ssize_t n;
  do {
    n = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return -errno;
  return static_cast<size_t>(n) == data.size() ? 0 : -EIO;
}

static Fd taken_descriptor(msghdr& header) {
  const cmsghdr* control = CMSG_FIRSTHDR(&header);
  if (control == nullptr || control->cmsg_type != SCM_RIGHTS) return Fd();
  int fd = -1;
  ::memcpy(&fd, CMSG_DATA(control), sizeof(fd));
  return Fd(fd);
}

long receive_with_fd(const Fd& socket, void* buffer, size_t size, Fd& passed) {
  iovec part = {buffer, size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t n;
  do {
    n = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return -errno;
  passed = taken_descriptor(message);
  return (message.msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : n;
}

int socket_pair(int type, Fd& one, Fd& other) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0) return -errno;
  one = Fd(ends[0]);
  other = Fd(ends[1]);
  return 0;
}

}  // namespace coracle::sys
