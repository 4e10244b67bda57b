// D-Bus messages: one that is accepted is encoded and decoded equal; its body is read value by
// value as its signature says.
#include "runtime/systemd/message.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

namespace {

bool equal(const systemd::Message& a, const systemd::Message& b) {
  return a.type == b.type && a.flags == b.flags && a.serial == b.serial &&
         a.reply_serial == b.reply_serial && a.path == b.path && a.interface == b.interface &&
         a.member == b.member && a.error_name == b.error_name && a.destination == b.destination &&
         a.signature == b.signature && a.body == b.body;
}

void read_body(const systemd::Message& message) {
  systemd::Reader in(message.body);
  for (const char type : message.signature) {
    in.skip(type);
    require(in.position() <= message.body.size(), "a reader stays within the body");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  const size_t announced = systemd::message_size(bytes);
  require(announced <= systemd::kMaxMessage, "a message's size is bounded");
  systemd::Message message;
  if (!systemd::decode(bytes, message)) return 0;
  require(announced == bytes.size(), "a message has the size that it announces");
  read_body(message);
  systemd::Message back;
  const std::string written = systemd::encode(message);
  require(systemd::decode(written, back) && equal(message, back), "a message is read back",
          written);
  return 0;
}
