#include "runtime/sys/netlink_messages.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <string.h>

namespace coracle::sys {
namespace {

nlmsghdr* begin(NetlinkRequest& out, uint16_t type, uint16_t flags) {
  nlmsghdr* message = mnl_nlmsg_put_header(out.header());
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  return message;
}

ifinfomsg* begin_link(NetlinkRequest& out, uint16_t type, int index) {
  nlmsghdr* message = begin(out, type, NLM_F_ACK);
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = index;
  return link;
}

// The first attribute behind a header of that size; null if the message is too short for it.
const nlattr* first_attribute(const nlmsghdr& message, size_t header) {
  if (mnl_nlmsg_get_payload_len(&message) < header) return nullptr;
  return static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, header));
}

bool is_ok(const nlmsghdr& message, const nlattr* attribute) {
  const auto begin = reinterpret_cast<uintptr_t>(attribute);
  const auto end = reinterpret_cast<uintptr_t>(&message) + message.nlmsg_len;
  return begin < end && mnl_attr_ok(attribute, static_cast<int>(end - begin));
}

// A text attribute, up to its NUL or its end.
std::string_view text_of(const nlattr* attribute) {
  const auto* text = static_cast<const char*>(mnl_attr_get_payload(attribute));
  return {text, strnlen(text, mnl_attr_get_payload_len(attribute))};
}

// netlink(7), NETLINK_EXT_ACK: behind the error and its copy of the request's header (with
// NETLINK_CAP_ACK no more of the request comes back) stand attributes.
void read_words(const nlmsghdr& message, std::string& words) {
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0 || (message.nlmsg_flags & NLM_F_CAPPED) == 0)
    return;
  const nlattr* a = first_attribute(message, sizeof(nlmsgerr));
  for (; a != nullptr && is_ok(message, a); a = mnl_attr_next(a))
    if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG) words = text_of(a);
}

// NLMSG_ERROR begins with the errno; so does NLMSG_DONE, of kernels that tell how a dump went.
int read_end(const nlmsghdr& message, NetlinkAnswer& answer) {
  const bool is_error = message.nlmsg_type == NLMSG_ERROR;
  const size_t payload = mnl_nlmsg_get_payload_len(&message);
  if (is_error && payload < sizeof(nlmsgerr)) return -EBADMSG;
  int32_t error = 0;
  if (payload >= sizeof(error)) memcpy(&error, mnl_nlmsg_get_payload(&message), sizeof(error));
  if (error > 0) return -EBADMSG;
  answer.done = true;
  if (error < 0) answer.error = error;
  if (is_error) read_words(message, answer.words);
  return 0;
}

}  // namespace

void write_link_query(NetlinkRequest& out, const char* name, int index) {
  begin_link(out, RTM_GETLINK, index);
  mnl_attr_put_u32(out.header(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  if (name[0] != '\0') mnl_attr_put_strz(out.header(), IFLA_IFNAME, name);
}

void write_link_move(NetlinkRequest& out, int index, int netns_fd, const char* name,
                     int new_index) {
  begin_link(out, RTM_NEWLINK, index);
  mnl_attr_put_u32(out.header(), IFLA_NET_NS_FD, static_cast<uint32_t>(netns_fd));
  mnl_attr_put_strz(out.header(), IFLA_IFNAME, name);
  mnl_attr_put_u32(out.header(), IFLA_NEW_IFINDEX, static_cast<uint32_t>(new_index));
}

void write_link_up(NetlinkRequest& out, int index) {
  ifinfomsg* link = begin_link(out, RTM_NEWLINK, index);
  link->ifi_flags = link->ifi_change = IFF_UP;
}

void write_address_dump(NetlinkRequest& out) {
  nlmsghdr* message = begin(out, RTM_GETADDR, NLM_F_DUMP);
  mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg));
}

// The flags that can be set; the others tell what the kernel found out. An IPv6 address that was
// found to be the only one of its kind on the link (RFC 4862, 5.4) is so still: the test again
// would keep the container's programs from using it for a second.
static uint32_t flags_to_set(const LinkAddress& address) {
  constexpr uint32_t kSettable = IFA_F_NODAD | IFA_F_OPTIMISTIC | IFA_F_HOMEADDRESS |
                                 IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;
  const uint32_t told = address.flags;
  const bool verified = address.message.ifa_family == AF_INET6 &&
                        (told & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_OPTIMISTIC)) == 0;
  return (told & kSettable) | (verified ? IFA_F_NODAD : 0);
}

int write_address(NetlinkRequest& out, const LinkAddress& address, int index) {
  constexpr size_t kMost = 512;
  if (address.attributes.size() > kMost) return -EMSGSIZE;
  nlmsghdr* message = begin(out, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto* header =
      static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(address.message)));
  *header = address.message;
  header->ifa_index = static_cast<uint32_t>(index);
  const uint32_t flags = flags_to_set(address);
  header->ifa_flags = static_cast<uint8_t>(flags);
  memcpy(mnl_nlmsg_get_payload_tail(message), address.attributes.data(), address.attributes.size());
  message->nlmsg_len += static_cast<uint32_t>(address.attributes.size());
  mnl_attr_put_u32(message, IFA_FLAGS, flags);
  return 0;
}

// libmnl 1.0.4 takes a length above 2^31 for a negative one and lets it pass, so that is looked at
// here first.
int read_answer(const void* data, size_t size, uint32_t sequence, uint32_t port,
                NetlinkVisitor* visitor, NetlinkAnswer& answer) {
  int left = static_cast<int>(size);
  const auto* message = static_cast<const nlmsghdr*>(data);
  for (; left > 0 && !answer.done; message = mnl_nlmsg_next(message, &left)) {
    if (left < static_cast<int>(sizeof(nlmsghdr)) ||
        message->nlmsg_len > static_cast<uint32_t>(left) || !mnl_nlmsg_ok(message, left))
      return -EBADMSG;
    // An answer that could not be received earlier.
    if (static_cast<int32_t>(message->nlmsg_seq - sequence) < 0) continue;
    if (message->nlmsg_seq != sequence || !mnl_nlmsg_portid_ok(message, port)) return -EPROTO;
    if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) answer.error = -EINTR;
    if (message->nlmsg_type == NLMSG_OVERRUN) return -EBADMSG;
    if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
      if (const int r = read_end(*message, answer); r < 0) return r;
    } else if (message->nlmsg_type >= NLMSG_MIN_TYPE && visitor != nullptr) {
      visitor->visit(*message);
    }
  }
  return 0;
}

bool read_link(const nlmsghdr& message, Link& out) {
  const nlattr* a = first_attribute(message, sizeof(ifinfomsg));
  if (message.nlmsg_type != RTM_NEWLINK || a == nullptr) return false;
  const auto* link = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message));
  out.index = link->ifi_index;
  out.flags = link->ifi_flags;
  for (; is_ok(message, a); a = mnl_attr_next(a))
    if (mnl_attr_get_type(a) == IFLA_IFNAME) out.name = text_of(a);
  return out.index > 0 && !out.name.empty();
}

bool read_kept_address(const nlmsghdr& message, int index, LinkAddress& out) {
  const nlattr* a = first_attribute(message, sizeof(ifaddrmsg));
  if (message.nlmsg_type != RTM_NEWADDR || a == nullptr) return false;
  memcpy(&out.message, mnl_nlmsg_get_payload(&message), sizeof(out.message));
  if (out.message.ifa_index != static_cast<uint32_t>(index)) return false;
  out.flags = out.message.ifa_flags;
  out.attributes.clear();
  for (; is_ok(message, a); a = mnl_attr_next(a)) {
    const uint16_t type = mnl_attr_get_type(a);
    if (type == IFA_FLAGS && mnl_attr_get_payload_len(a) == sizeof(uint32_t))
      out.flags = mnl_attr_get_u32(a);
    // A label is the device's name, which changes with it; without one the kernel gives the new.
    if (type == IFA_FLAGS || type == IFA_LABEL) continue;
    out.attributes.append(reinterpret_cast<const char*>(a), a->nla_len);
    out.attributes.resize(MNL_ALIGN(out.attributes.size()));
  }
  return (out.flags & IFA_F_PERMANENT) != 0 && out.message.ifa_scope == RT_SCOPE_UNIVERSE;
}

}  // namespace coracle::sys
