#include <doctest/doctest.h>

#include <random>

#include "runtime/systemd/message.h"

using namespace coracle::systemd;

namespace {

Message signal() {
  Message m;
  m.type = MessageType::kSignal;
  m.serial = 7;
  m.path = "/org/freedesktop/systemd1";
  m.interface = "org.freedesktop.systemd1.Manager";
  m.member = "JobRemoved";
  m.signature = "uoss";
  m.body = Writer().u32(5).string("/job/5").string("a.scope").string("done").bytes();
  return m;
}

// Reads everything that a message claims to have, the way its users do.
void use(const Message& m) {
  Reader in(m.body);
  for (char type : m.signature) in.skip(type);
}

}  // namespace

TEST_CASE("a message survives the way there and back") {
  const std::string bytes = encode(signal());
  CHECK(message_size(bytes) == bytes.size());
  Message m;
  REQUIRE(decode(bytes, m));
  CHECK(m.type == MessageType::kSignal);
  CHECK(m.serial == 7);
  CHECK(m.member == "JobRemoved");
  CHECK(m.signature == "uoss");
  Reader in(m.body);
  CHECK(in.u32() == 5);
  CHECK(in.string() == "/job/5");
  CHECK(in.string() == "a.scope");
  CHECK(in.string() == "done");
  CHECK(in.is_good());
  CHECK(in.at_end());
}

// "Hello" as libdbus 1.14 sends it, but for the serial.
TEST_CASE("the bytes are those of the specification") {
  Message m;
  m.serial = 1;
  m.path = "/org/freedesktop/DBus";
  m.destination = "org.freedesktop.DBus";
  m.interface = "org.freedesktop.DBus";
  m.member = "Hello";
  const std::string bytes = encode(m);
  const char start[] =
      "l\1\0\1\0\0\0\0\1\0\0\0\x6d\0\0\0\1\1o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0";
  CHECK(bytes.substr(0, sizeof(start) - 1) == std::string(start, sizeof(start) - 1));
  CHECK(bytes.size() % 8 == 0);
}

TEST_CASE("alignment: arrays of structs begin at 8, and the length counts no padding") {
  Writer out;
  const size_t array = out.begin_array(8);
  out.begin_struct().string("a").u64(1);
  out.begin_struct().string("b").u64(2);
  out.end_array(array);
  Reader in(out.bytes());
  CHECK(in.u32() == 32);
  in.align(8);
  CHECK(in.position() == 8);
  CHECK(in.string() == "a");
  CHECK(in.u64() == 1);
  in.align(8);
  CHECK(in.string() == "b");
  CHECK(in.u64() == 2);
  CHECK(in.at_end());
}

TEST_CASE("what does not fit fails for good") {
  Reader huge(std::string_view("\xff\xff\xff\xff", 4));
  CHECK(huge.string() == "");
  CHECK_FALSE(huge.is_good());
  Reader unterminated(std::string_view("\1\0\0\0ab", 6));
  CHECK(unterminated.string() == "");
  CHECK_FALSE(unterminated.is_good());
  CHECK(unterminated.u8() == 0);
  Reader nul_inside(std::string_view("\2\0\0\0a\0\0", 7));
  nul_inside.string();
  CHECK_FALSE(nul_inside.is_good());
  Reader dirty_padding(std::string_view("\1\1\0\0\0\0\0\0", 8));
  dirty_padding.u8();
  dirty_padding.u32();
  CHECK_FALSE(dirty_padding.is_good());
  Reader unknown("abc");
  unknown.skip('(');
  CHECK_FALSE(unknown.is_good());
}

TEST_CASE("foreign byte order, other protocols and messages without end are refused") {
  std::string bytes = encode(signal());
  auto changed = [&](size_t at, const std::string& by) {
    std::string copy = bytes;
    copy.replace(at, by.size(), by);
    return message_size(copy);
  };
  CHECK(changed(0, "B") == 0);
  CHECK(changed(3, "\2") == 0);
  CHECK(changed(4, "\xff\xff\xff\xff") == 0);
  CHECK(changed(12, "\xff\xff\xff\x7f") == 0);
  CHECK(message_size(bytes.substr(0, 15)) == 0);
  Message m;
  CHECK_FALSE(decode(bytes.substr(0, bytes.size() - 1), m));
  CHECK_FALSE(decode(bytes + "x", m));
  CHECK_FALSE(decode("", m));
}

TEST_CASE("a header field of an unknown code is passed over, one of the wrong type is an error") {
  Writer out;
  out.u8('l').u8(4).u8(0).u8(1).u32(0).u32(3);
  const size_t fields = out.begin_array(8);
  out.begin_struct().u8(200).signature("t").u64(9);
  out.begin_struct().u8(3).signature("s").string("Member");
  out.end_array(fields);
  out.align(8);
  Message m;
  REQUIRE(decode(out.bytes(), m));
  CHECK(m.member == "Member");

  Writer wrong;
  wrong.u8('l').u8(4).u8(0).u8(1).u32(0).u32(3);
  const size_t again = wrong.begin_array(8);
  wrong.begin_struct().u8(3).signature("u").u32(1);
  wrong.end_array(again);
  wrong.align(8);
  CHECK_FALSE(decode(wrong.bytes(), m));
}

TEST_CASE("hostile bytes: every cut, every flipped bit, and noise") {
  const std::string good = encode(signal());
  Message m;
  for (size_t size = 0; size < good.size(); ++size) CHECK_FALSE(decode(good.substr(0, size), m));
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    if (message_size(bad) == bad.size() && decode(bad, m)) use(m);
  }
  std::mt19937 random(4);
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (int change = 0; change < 4; ++change)
      bad[random() % bad.size()] = static_cast<char>(random());
    if (message_size(bad) == bad.size() && decode(bad, m)) use(m);
    std::string noise(random() % 200, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    if (!noise.empty()) noise[0] = 'l';
    if (message_size(noise) == noise.size() && decode(noise, m)) use(m);
  }
}
