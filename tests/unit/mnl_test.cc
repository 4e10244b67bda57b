// Our stand-in for libmnl (runtime/sys/mnl.cc) beside libmnl itself, which is loaded: the same
// calls on the same bytes, and every byte of what comes out compared.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <random>
#include <string>
#include <vector>

namespace {

#define MNL_FUNCTIONS(X)      \
  X(nlmsg_put_header)         \
  X(nlmsg_put_extra_header)   \
  X(nlmsg_ok)                 \
  X(nlmsg_next)               \
  X(nlmsg_seq_ok)             \
  X(nlmsg_portid_ok)          \
  X(nlmsg_get_payload_len)    \
  X(nlmsg_get_payload)        \
  X(nlmsg_get_payload_offset) \
  X(nlmsg_get_payload_tail)   \
  X(attr_put)                 \
  X(attr_put_u32)             \
  X(attr_put_strz)            \
  X(attr_ok)                  \
  X(attr_next)                \
  X(attr_get_type)            \
  X(attr_get_payload_len)     \
  X(attr_get_payload)         \
  X(attr_get_u32)             \
  X(socket_fdopen)            \
  X(socket_bind)              \
  X(socket_get_portid)        \
  X(socket_setsockopt)        \
  X(socket_sendto)            \
  X(socket_recvfrom)          \
  X(socket_close)

// One implementation of what we call.
struct Functions {
#define X(name) decltype(&mnl_##name) name;
  MNL_FUNCTIONS(X)
#undef X
};

const Functions& ours() {
  static const Functions functions = {
#define X(name) mnl_##name,
      MNL_FUNCTIONS(X)
#undef X
  };
  return functions;
}

const Functions& theirs() {
  static const Functions functions = [] {
    void* library = dlopen("libmnl.so.0", RTLD_NOW | RTLD_LOCAL);
    REQUIRE_MESSAGE(library != nullptr, dlerror());
    Functions f = {};
#define X(name)                                                              \
  f.name = reinterpret_cast<decltype(f.name)>(dlsym(library, "mnl_" #name)); \
  REQUIRE((f.name != nullptr && f.name != &mnl_##name));
    MNL_FUNCTIONS(X)
#undef X
    return f;
  }();
  return functions;
}

constexpr size_t kRoom = 2048;
struct Buffer {  // zeros: whether the padding behind an attribute is written depends on libmnl's
                 // age
  alignas(8) unsigned char bytes[kRoom] = {};
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes); }
  bool operator==(const Buffer& other) const { return memcmp(bytes, other.bytes, kRoom) == 0; }
};

// The same message for the same seed.
void write_message(const Functions& f, Buffer& buffer, unsigned seed) {
  std::mt19937 random(seed);
  nlmsghdr* message = f.nlmsg_put_header(buffer.bytes);
  message->nlmsg_type = static_cast<uint16_t>(random());
  message->nlmsg_flags = static_cast<uint16_t>(random());
  memset(f.nlmsg_put_extra_header(message, random() % 40), static_cast<int>(random() & 255), 1);
  std::string data(100, '\0');
  for (char& c : data) c = static_cast<char>(random());
  for (unsigned i = random() % 8; i > 0; --i) {
    const auto type = static_cast<uint16_t>(random());
    switch (random() % 3) {
      case 0:
        f.attr_put(message, type, random() % data.size(), data.data());
        break;
      case 1:
        f.attr_put_u32(message, type, random());
        break;
      default:
        f.attr_put_strz(message, type, std::string(random() % 30, 'x').c_str());
    }
  }
}

// What a reader finds in the bytes, as numbers. Lengths from 2^31 on are left out: libmnl 1.0.4
// takes them for negative ones, which netlink_messages.cc does not rely on.
std::vector<long> walk(const Functions& f, const Buffer& buffer, int length, unsigned number) {
  std::vector<long> found;
  const auto offset = [&](const void* p) {
    return static_cast<const unsigned char*>(p) - buffer.bytes;
  };
  const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.bytes);
  while (message->nlmsg_len <= INT_MAX && f.nlmsg_ok(message, length)) {
    found.insert(
        found.end(),
        {offset(message), f.nlmsg_seq_ok(message, number), f.nlmsg_portid_ok(message, number),
         static_cast<long>(f.nlmsg_get_payload_len(message)), offset(f.nlmsg_get_payload(message)),
         offset(f.nlmsg_get_payload_tail(message))});
    const auto* end = static_cast<const char*>(f.nlmsg_get_payload_tail(message));
    auto* a = static_cast<const nlattr*>(f.nlmsg_get_payload_offset(message, number % 24));
    while (f.attr_ok(a, static_cast<int>(end - reinterpret_cast<const char*>(a)))) {
      found.insert(found.end(), {offset(a), f.attr_get_type(a), f.attr_get_payload_len(a),
                                 offset(f.attr_get_payload(a))});
      if (f.attr_get_payload_len(a) >= 4) found.push_back(f.attr_get_u32(a));
      a = f.attr_next(a);
    }
    found.push_back(offset(a));
    message = f.nlmsg_next(message, &length);
  }
  found.insert(found.end(), {offset(message), length});
  return found;
}

struct Socket {
  const Functions& f;
  mnl_socket* socket = nullptr;
  explicit Socket(const Functions& functions) : f(functions) {
    socket = f.socket_fdopen(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    REQUIRE(socket != nullptr);
  }
  ~Socket() { CHECK(f.socket_close(socket) == 0); }
};

// Asks for the loopback device; the answer, or the errno of a buffer of that size.
long ask(const Functions& f, size_t room, Buffer& answer) {
  Socket s(f);
  REQUIRE(f.socket_bind(s.socket, 0, MNL_SOCKET_AUTOPID) == 0);
  CHECK(f.socket_get_portid(s.socket) != 0);
  int on = 1;
  CHECK(f.socket_setsockopt(s.socket, NETLINK_CAP_ACK, &on, sizeof(on)) == 0);
  errno = 0;
  CHECK(f.socket_setsockopt(s.socket, 12345, &on, sizeof(on)) == -1);
  CHECK(errno == ENOPROTOOPT);
  Buffer request;
  nlmsghdr* message = f.nlmsg_put_header(request.bytes);
  message->nlmsg_type = RTM_GETLINK;
  message->nlmsg_flags = NLM_F_REQUEST;
  message->nlmsg_seq = 7;
  f.nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  f.attr_put_strz(message, IFLA_IFNAME, "no-such-device0");
  CHECK(f.socket_sendto(s.socket, message, message->nlmsg_len) == message->nlmsg_len);
  const ssize_t n = f.socket_recvfrom(s.socket, answer.bytes, room);
  if (n < 0) return -errno;
  CHECK(answer.header()->nlmsg_pid == f.socket_get_portid(s.socket));
  answer.header()->nlmsg_pid = 0;  // each socket has its own
  return n;
}

}  // namespace

TEST_CASE("messages are written byte for byte as libmnl writes them") {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    CAPTURE(seed);
    Buffer a, b;
    write_message(ours(), a, seed);
    write_message(theirs(), b, seed);
    REQUIRE(a == b);
  }
}

TEST_CASE("messages are read as libmnl reads them, whole, cut and damaged") {
  std::mt19937 random(1);
  for (unsigned seed = 0; seed < 3000; ++seed) {
    CAPTURE(seed);
    Buffer buffer;
    write_message(ours(), buffer, seed);
    nlmsghdr* message = buffer.header();
    int length = static_cast<int>(message->nlmsg_len);
    message->nlmsg_seq = random() % 3;
    message->nlmsg_pid = random() % 3;
    if (seed % 3 == 1) length = static_cast<int>(random() % (message->nlmsg_len + 1));
    if (seed % 3 == 2) {
      buffer.bytes[16 + random() % (message->nlmsg_len - 15)] =
          static_cast<unsigned char>(random());
      message->nlmsg_len = random() % 400;
    }
    REQUIRE(walk(ours(), buffer, length, seed % 3) == walk(theirs(), buffer, length, seed % 3));
  }
}

TEST_CASE("a socket is used as libmnl uses it") {
  Buffer a, b;
  const long n = ask(ours(), kRoom, a);
  CHECK(n > 0);
  CHECK(n == ask(theirs(), kRoom, b));
  CHECK(a == b);
  CHECK(ask(ours(), 8, a) == -ENOSPC);
  CHECK(ask(theirs(), 8, b) == -ENOSPC);
}

TEST_CASE("what is no netlink socket is refused as by libmnl") {
  for (const Functions* f : {&ours(), &theirs()}) {
    errno = 0;
    CHECK(f->socket_fdopen(-1) == nullptr);
    CHECK(errno == EBADF);
    int pair[2];
    REQUIRE(pipe(pair) == 0);
    CHECK(f->socket_fdopen(pair[0]) == nullptr);
    CHECK(errno == ENOTSOCK);
    close(pair[0]);
    close(pair[1]);
    mnl_socket* other = f->socket_fdopen(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(other != nullptr);
    CHECK(f->socket_get_portid(other) == 0);
    CHECK(f->socket_bind(other, 0, 0) == -1);
    CHECK(f->socket_close(other) == 0);
  }
}
