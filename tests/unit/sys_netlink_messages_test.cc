// Requests byte for byte, and answers that no kernel sends. Little-endian, as all that we build
// for.
#include <doctest/doctest.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/sys/netlink_messages.h"

namespace sys = coracle::sys;

namespace {

std::string hex(const void* data, size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    const unsigned char byte = static_cast<const unsigned char*>(data)[i];
    if (i > 0 && i % 4 == 0) out += ' ';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string hex(const sys::NetlinkRequest& request) { return hex(request.data(), request.size()); }

constexpr uint32_t kSequence = 5, kPort = 4242;

// Datagrams, aligned as a receive buffer is.
class Datagram {
 public:
  // A message with this payload; `claimed` in place of its length.
  Datagram& add(uint16_t type, std::string_view payload, uint16_t flags = 0,
                uint32_t sequence = kSequence, uint32_t port = kPort, int64_t claimed = -1) {
    const size_t length = sizeof(nlmsghdr) + payload.size();
    nlmsghdr header = {static_cast<uint32_t>(claimed < 0 ? length : claimed), type, flags, sequence,
                       port};
    put(&header, sizeof(header));
    put(payload.data(), payload.size());
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    return *this;
  }
  Datagram& put(const void* data, size_t size) {
    const auto* p = static_cast<const char*>(data);
    bytes_.insert(bytes_.end(), p, p + size);
    return *this;
  }
  Datagram& cut(size_t size) {
    bytes_.resize(size);
    return *this;
  }
  size_t size() const { return bytes_.size(); }
  int read(sys::NetlinkAnswer& answer, sys::NetlinkVisitor* visitor = nullptr) const {
    // In a block of exactly this size, so that the address sanitizer sees a byte too many.
    std::vector<char> exact(bytes_);
    exact.shrink_to_fit();
    return sys::read_answer(exact.data(), exact.size(), kSequence, kPort, visitor, answer);
  }

 private:
  std::vector<char> bytes_;
};

std::string attribute(uint16_t type, std::string_view data, int claimed = -1) {
  nlattr header = {static_cast<uint16_t>(claimed < 0 ? NLA_HDRLEN + data.size() : claimed), type};
  std::string out(reinterpret_cast<const char*>(&header), sizeof(header));
  out += data;
  out.resize(NLA_ALIGN(out.size()));
  return out;
}

std::string bytes_of(const auto& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

std::string error_payload(int error) {
  nlmsgerr payload = {};
  payload.error = error;
  return bytes_of(payload);
}

struct Collector final : sys::NetlinkVisitor {
  std::vector<std::string> messages;
  std::vector<sys::Link> links;
  std::vector<sys::LinkAddress> addresses;
  void visit(const nlmsghdr& message) override {
    messages.emplace_back(reinterpret_cast<const char*>(&message), message.nlmsg_len);
    sys::Link link;
    if (sys::read_link(message, link)) links.push_back(link);
    sys::LinkAddress address;
    if (sys::read_kept_address(message, 7, address)) addresses.push_back(address);
  }
};

std::string link_payload(int index, std::string_view attributes) {
  ifinfomsg link = {};
  link.ifi_index = index;
  link.ifi_flags = IFF_UP;
  return bytes_of(link) + std::string(attributes);
}

std::string address_payload(uint8_t family, uint8_t flags, uint8_t scope, uint32_t index,
                            std::string_view attributes) {
  ifaddrmsg address = {};
  address.ifa_family = family;
  address.ifa_prefixlen = 24;
  address.ifa_flags = flags;
  address.ifa_scope = scope;
  address.ifa_index = index;
  return bytes_of(address) + std::string(attributes);
}

}  // namespace

TEST_CASE("link query by name: the bytes") {
  sys::NetlinkRequest request;
  sys::write_link_query(request, "eth0", 0);
  // length 52, RTM_GETLINK, REQUEST|ACK; ifinfomsg; IFLA_EXT_MASK 8; IFLA_IFNAME "eth0"
  CHECK(hex(request) ==
        "34000000 12000500 00000000 00000000 00000000 00000000 00000000 00000000 "
        "08001d00 08000000 09000300 65746830 00000000");
}

TEST_CASE("link query by number: the bytes") {
  sys::NetlinkRequest request;
  sys::write_link_query(request, "", 0x1234);
  CHECK(hex(request) ==
        "28000000 12000500 00000000 00000000 00000000 34120000 00000000 00000000 "
        "08001d00 08000000");
}

TEST_CASE("link move: the bytes") {
  sys::NetlinkRequest request;
  sys::write_link_move(request, 7, 9, "abc", 8);
  // RTM_NEWLINK; IFLA_NET_NS_FD 9; IFLA_IFNAME "abc"; IFLA_NEW_IFINDEX 8
  CHECK(hex(request) ==
        "38000000 10000500 00000000 00000000 00000000 07000000 00000000 00000000 "
        "08001c00 09000000 08000300 61626300 08003100 08000000");
}

TEST_CASE("link up: the bytes") {
  sys::NetlinkRequest request;
  sys::write_link_up(request, 7);
  CHECK(hex(request) == "20000000 10000500 00000000 00000000 00000000 07000000 01000000 01000000");
}

TEST_CASE("dump of addresses: the bytes") {
  sys::NetlinkRequest request;
  sys::write_address_dump(request);
  // RTM_GETADDR, REQUEST|DUMP
  CHECK(hex(request) == "18000000 16000103 00000000 00000000 00000000 00000000");
}

TEST_CASE("an address goes out as it came, for its new device, without what the kernel found out") {
  Collector seen;
  const std::string told = address_payload(
      AF_INET, IFA_F_PERMANENT, RT_SCOPE_UNIVERSE, 7,
      attribute(IFA_ADDRESS, std::string("\x0a\0\0\2", 4)) +
          attribute(IFA_LOCAL, std::string("\x0a\0\0\1", 4)) + attribute(IFA_LABEL, "eth0:1") +
          attribute(IFA_FLAGS, bytes_of(uint32_t{IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE})));
  sys::NetlinkAnswer answer;
  REQUIRE(Datagram().add(RTM_NEWADDR, told).read(answer, &seen) == 0);
  REQUIRE(seen.addresses.size() == 1);
  sys::NetlinkRequest request;
  REQUIRE(sys::write_address(request, seen.addresses[0], 300) == 0);
  // RTM_NEWADDR, REQUEST|ACK|EXCL|CREATE; AF_INET/24, index 300; IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS
  CHECK(hex(request) ==
        "30000000 14000506 00000000 00000000 02180000 2c010000 "
        "08000100 0a000002 08000200 0a000001 08000800 00020000");
}

TEST_CASE("an IPv6 address that was verified need not be again, one that was not must") {
  for (const auto& [told, set] : {std::pair<uint32_t, uint32_t>{IFA_F_PERMANENT, IFA_F_NODAD},
                                  {IFA_F_PERMANENT | IFA_F_TENTATIVE, 0},
                                  {IFA_F_PERMANENT | IFA_F_DADFAILED | IFA_F_TENTATIVE, 0},
                                  {IFA_F_PERMANENT | IFA_F_OPTIMISTIC, IFA_F_OPTIMISTIC},
                                  {IFA_F_PERMANENT | IFA_F_DEPRECATED, IFA_F_NODAD}}) {
    sys::LinkAddress address;
    address.message.ifa_family = AF_INET6;
    address.flags = told;
    sys::NetlinkRequest request;
    REQUIRE(sys::write_address(request, address, 1) == 0);
    uint32_t flags;
    memcpy(&flags, static_cast<const char*>(request.data()) + request.size() - 4, sizeof(flags));
    CHECK(flags == set);
  }
}

TEST_CASE("attributes of an address that are more than a request holds are refused") {
  sys::LinkAddress address;
  sys::NetlinkRequest request;
  address.attributes.assign(512, 'x');
  CHECK(sys::write_address(request, address, 1) == 0);
  address.attributes.assign(516, 'x');
  CHECK(sys::write_address(request, address, 1) == -EMSGSIZE);
}

TEST_CASE("which addresses go with a device") {
  const auto kept = [](uint8_t flags, uint8_t scope, uint32_t index, std::string_view more = "") {
    Collector seen;
    sys::NetlinkAnswer answer;
    const std::string payload = address_payload(AF_INET, flags, scope, index, more);
    REQUIRE(Datagram().add(RTM_NEWADDR, payload).read(answer, &seen) == 0);
    return !seen.addresses.empty();
  };
  CHECK(kept(IFA_F_PERMANENT, RT_SCOPE_UNIVERSE, 7));
  CHECK_FALSE(kept(0, RT_SCOPE_UNIVERSE, 7));
  CHECK_FALSE(kept(IFA_F_PERMANENT, RT_SCOPE_LINK, 7));
  CHECK_FALSE(kept(IFA_F_PERMANENT, RT_SCOPE_HOST, 7));
  CHECK_FALSE(kept(IFA_F_PERMANENT, RT_SCOPE_UNIVERSE, 8));
  // All 32 bits count, not the eight of the header.
  CHECK_FALSE(kept(IFA_F_PERMANENT, RT_SCOPE_UNIVERSE, 7,
                   attribute(IFA_FLAGS, bytes_of(uint32_t{IFA_F_NOPREFIXROUTE}))));
  CHECK(kept(0, RT_SCOPE_UNIVERSE, 7, attribute(IFA_FLAGS, bytes_of(uint32_t{IFA_F_PERMANENT}))));
}

TEST_CASE("a link is read with its own name and number") {
  Collector seen;
  sys::NetlinkAnswer answer;
  const std::string payload = link_payload(
      12, attribute(IFLA_MTU, "\xdc\x05") + attribute(IFLA_IFNAME, std::string("eth0\0", 5)));
  REQUIRE(Datagram().add(RTM_NEWLINK, payload).read(answer, &seen) == 0);
  REQUIRE(seen.links.size() == 1);
  CHECK(seen.links[0].index == 12);
  CHECK(seen.links[0].flags == IFF_UP);
  CHECK(seen.links[0].name == "eth0");
  CHECK_FALSE(answer.done);
}

TEST_CASE("links that are none") {
  for (const std::string& payload :
       {std::string(), std::string(15, '\0'), link_payload(0, attribute(IFLA_IFNAME, "eth0")),
        link_payload(-1, attribute(IFLA_IFNAME, "eth0")), link_payload(7, ""),
        link_payload(7, attribute(IFLA_IFNAME, "eth0", 3)),
        link_payload(7, attribute(IFLA_IFNAME, "eth0", 400)),
        link_payload(7, attribute(IFLA_MTU, "xxxx", 0) + attribute(IFLA_IFNAME, "eth0"))}) {
    CAPTURE(hex(payload.data(), payload.size()));
    Collector seen;
    sys::NetlinkAnswer answer;
    CHECK(Datagram().add(RTM_NEWLINK, payload).read(answer, &seen) == 0);
    CHECK(seen.links.empty());
    CHECK(seen.messages.size() == 1);
  }
}

TEST_CASE("the end of an answer: done, or an errno with the kernel's words") {
  sys::NetlinkAnswer good;
  CHECK(Datagram().add(NLMSG_ERROR, error_payload(0)).read(good) == 0);
  CHECK(good.done);
  CHECK(good.error == 0);

  sys::NetlinkAnswer bad;
  CHECK(Datagram()
            .add(NLMSG_ERROR,
                 error_payload(-EINVAL) + attribute(NLMSGERR_ATTR_OFFS, "\4") +
                     attribute(NLMSGERR_ATTR_MSG, std::string("it is immutable\0", 16)),
                 NLM_F_CAPPED | NLM_F_ACK_TLVS)
            .read(bad) == 0);
  CHECK(bad.done);
  CHECK(bad.error == -EINVAL);
  CHECK(bad.words == "it is immutable");

  sys::NetlinkAnswer plain;  // an old kernel: the request comes back, and nothing of it is words
  CHECK(Datagram()
            .add(NLMSG_ERROR, error_payload(-EPERM) + attribute(NLMSGERR_ATTR_MSG, "lies"))
            .read(plain) == 0);
  CHECK(plain.error == -EPERM);
  CHECK(plain.words.empty());
}

TEST_CASE("the end of a dump: NLMSG_DONE, with the errno that some kernels put there") {
  sys::NetlinkAnswer old, good, bad;
  CHECK(Datagram().add(NLMSG_DONE, "", NLM_F_MULTI).read(old) == 0);
  CHECK(old.done);
  CHECK(Datagram().add(NLMSG_DONE, bytes_of(int32_t{0}), NLM_F_MULTI).read(good) == 0);
  CHECK(good.error == 0);
  CHECK(Datagram().add(NLMSG_DONE, bytes_of(int32_t{-ENOMEM}), NLM_F_MULTI).read(bad) == 0);
  CHECK(bad.done);
  CHECK(bad.error == -ENOMEM);
}

TEST_CASE("a dump that changed meanwhile says so") {
  sys::NetlinkAnswer answer;
  CHECK(Datagram()
            .add(RTM_NEWADDR, address_payload(AF_INET, 0, 0, 1, ""), NLM_F_DUMP_INTR)
            .add(NLMSG_DONE, bytes_of(int32_t{0}))
            .read(answer) == 0);
  CHECK(answer.done);
  CHECK(answer.error == -EINTR);
}

TEST_CASE("nothing is read behind the end, and NOOP means nothing") {
  Collector seen;
  sys::NetlinkAnswer answer;
  CHECK(Datagram()
            .add(NLMSG_NOOP, "")
            .add(NLMSG_ERROR, error_payload(0))
            .add(RTM_NEWLINK, link_payload(7, attribute(IFLA_IFNAME, "eth0")), 0, 99)
            .read(answer, &seen) == 0);
  CHECK(answer.done);
  CHECK(seen.messages.empty());
}

TEST_CASE("cut anywhere, an answer is refused, or has simply not ended") {
  Datagram whole;
  whole.add(RTM_NEWLINK, link_payload(7, attribute(IFLA_IFNAME, "eth0")))
      .add(NLMSG_ERROR, error_payload(-EINVAL) + attribute(NLMSGERR_ATTR_MSG, "words"),
           NLM_F_CAPPED | NLM_F_ACK_TLVS);
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    Collector seen;
    sys::NetlinkAnswer answer;
    const int r = Datagram(whole).cut(size).read(answer, &seen);
    CHECK((r == -EBADMSG || (r == 0 && !answer.done)));
    CHECK_FALSE(answer.done);
  }
}

TEST_CASE("lengths that are not the message's") {
  for (const int64_t claimed :
       {0ll, 1ll, 15ll, 200ll, 0x7fffffffll, 0x80000000ll, 0xfffffff0ll, 0xffffffffll}) {
    CAPTURE(claimed);
    sys::NetlinkAnswer answer;
    CHECK(
        Datagram().add(NLMSG_ERROR, error_payload(0), 0, kSequence, kPort, claimed).read(answer) ==
        -EBADMSG);
    CHECK_FALSE(answer.done);
  }
  sys::NetlinkAnswer answer;  // a header, and no errno behind it
  CHECK(Datagram().add(NLMSG_ERROR, "\1\1").read(answer) == -EBADMSG);
  CHECK(Datagram().add(NLMSG_ERROR, error_payload(EINVAL)).read(answer) == -EBADMSG);
  CHECK(Datagram().add(NLMSG_OVERRUN, "").read(answer) == -EBADMSG);
}

TEST_CASE("answers to somebody else") {
  sys::NetlinkAnswer answer;
  CHECK(Datagram().add(NLMSG_ERROR, error_payload(0), 0, kSequence + 1).read(answer) == -EPROTO);
  CHECK(Datagram().add(NLMSG_ERROR, error_payload(-EIO), 0, 0).read(answer) == 0);
  CHECK(Datagram().add(NLMSG_ERROR, error_payload(-EIO), 0, kSequence - 1).read(answer) == 0);
  CHECK(Datagram().add(NLMSG_ERROR, error_payload(0), 0, kSequence, kPort + 1).read(answer) ==
        -EPROTO);
  CHECK_FALSE(answer.done);
}
