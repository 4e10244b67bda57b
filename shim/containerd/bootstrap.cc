#include "shim/containerd/bootstrap.h"

#include "runtime/sys/protobuf.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;
using sys::ProtoReader;
using sys::ProtoWriter;

namespace {

constexpr char kDefaultDir[] = "/run/containerd/s";  // hard-coded in containerd up to 2.2

bool is_bootstrap(std::string_view bytes, const Invocation& invocation) {
  std::string_view id, name_space;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) id = in.bytes();
    if (in.field() == 2) name_space = in.bytes();
  }
  return in.ok() && !id.empty() && id == invocation.id && name_space == invocation.name_space;
}

// An extension is a message whose field 1 is an Any.
void read_extension(std::string_view bytes, StartInput& out) {
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() != 1) continue;
    const Any any = parse_any(in.bytes());
    if (any.type.ends_with(".Options")) out.options = any;
  }
  if (!in.ok()) throw Error("bootstrap parameters: malformed extension");
}

StartInput parse_bootstrap(std::string_view bytes) {
  constexpr int64_t kDebugLevel = -4;
  StartInput out;
  out.is_bootstrap = true;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 3) out.debug = static_cast<int64_t>(in.number()) <= kDebugLevel;
    if (in.field() == 5) out.ttrpc_address = in.bytes();
    if (in.field() == 8) read_extension(in.bytes(), out);
    if (in.field() == 9) out.socket_dir = in.bytes();
  }
  if (!in.ok()) throw Error("bootstrap parameters: malformed");
  return out;
}

// FNV-1a of 128 bits: an id of 64 digits beside a namespace and an address would not fit into
// sun_path, and no two of a machine's containers meet in 128 bits by chance. Whoever chooses ids is
// containerd's client, thus root here: nobody gains by a collision.
std::string hash_of(std::string_view key) {
  constexpr char kDigits[] = "0123456789abcdef";
  using Wide = unsigned __int128;
  constexpr Wide kPrime = Wide{1} << 88 | 0x13b;
  Wide h = Wide{0x6c62272e07bb0142} << 64 | 0x62b821756295c58d;
  for (char c : key) h = (h ^ static_cast<uint8_t>(c)) * kPrime;
  std::string name;
  for (int shift = 124; shift >= 0; shift -= 4)
    name += kDigits[static_cast<size_t>(h >> shift) & 15];
  return name;
}

}  // namespace

StartInput parse_start_input(std::string_view bytes, const Invocation& invocation) {
  if (is_bootstrap(bytes, invocation)) return parse_bootstrap(bytes);
  StartInput out;
  out.options = parse_any(bytes);
  return out;
}

std::string start_answer(const StartInput& input, const std::string& address) {
  constexpr uint64_t kVersion = 3;
  if (!input.is_bootstrap) return address;
  return ProtoWriter().number(1, kVersion).bytes(2, address).bytes(3, "ttrpc").take();
}

std::string socket_path(const StartInput& input, const Invocation& invocation,
                        std::string_view group) {
  const std::string key = cat(invocation.address, "/", invocation.name_space, "/",
                              group.empty() ? std::string_view(invocation.id) : group);
  return cat(input.socket_dir.empty() ? kDefaultDir : input.socket_dir, "/",
             hash_of(spec::clean_path(key)));
}

}  // namespace coracle::shim
