#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "runtime/sys/protobuf.h"

using coracle::sys::ProtoReader;
using coracle::sys::ProtoWriter;
using namespace std::string_view_literals;

namespace {

// Reads everything as what it is; true if it was well-formed.
bool reads(std::string_view bytes, int* fields = nullptr) {
  ProtoReader in(bytes);
  while (in.next())
    if (fields) ++*fields;
  return in.ok();
}

}  // namespace

TEST_CASE("ProtoWriter writes what the encoding guide shows") {
  CHECK(ProtoWriter().number(1, 150).text() == "\x08\x96\x01"sv);
  CHECK(ProtoWriter().bytes(2, "testing").text() == "\x12\x07testing"sv);
  CHECK(ProtoWriter().message(3, ProtoWriter().number(1, 150)).text() == "\x1a\x03\x08\x96\x01"sv);
  CHECK(ProtoWriter().signed_number(1, -2).text() ==
        "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv);
  CHECK(ProtoWriter().real(1, 0.5).text() == "\x09\0\0\0\0\0\0\xe0\x3f"sv);
  CHECK(ProtoWriter().number(1000, 1).text() == "\xc0\x3e\x01"sv);
}

TEST_CASE("ProtoWriter leaves out what proto3 takes for absent, but no empty message") {
  CHECK(ProtoWriter().number(1, 0).bytes(2, "").text().empty());
  CHECK(ProtoWriter().message(1, "").text() == "\x0a\x00"sv);
}

TEST_CASE("ProtoReader reads what ProtoWriter wrote, unknown fields or not") {
  ProtoWriter out;
  out.number(7, UINT64_MAX).bytes(1, "name").signed_number(2, -8).bytes(99, "unknown");
  ProtoReader in(out.text());
  std::string name;
  int64_t level = 0;
  while (in.next()) {
    if (in.field() == 1) name = in.bytes();
    if (in.field() == 2) level = static_cast<int64_t>(in.number());
  }
  CHECK(in.ok());
  CHECK(name == "name");
  CHECK(level == -8);
}

TEST_CASE("ProtoReader passes over fixed-width fields") {
  int fields = 0;
  CHECK(reads("\x0d\x01\x02\x03\x04\x11\x01\x02\x03\x04\x05\x06\x07\x08\x08\x01"sv, &fields));
  CHECK(fields == 3);
}

TEST_CASE("ProtoReader refuses what is no message") {
  for (std::string_view bytes : {
           "\x08"sv,                                              // a key without a value
           "\x80"sv,                                              // a key cut short
           "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv,  // eleven bytes
           "\x0a\x05"
           "abc"sv,                                       // shorter than it says
           "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"sv,  // a length beyond any memory
           "\x0d\x01\x02\x03"sv,                          // fixed32 cut short
           "\x09\x01\x02\x03\x04\x05\x06\x07"sv,          // fixed64 cut short
           "\x00\x01"sv,                                  // field 0
           "\x80\x80\x80\x80\x10\x01"sv,                  // field 2^29
           "\x0b\x0c"sv,                                  // a group
           "\x0e\x01"sv,                                  // wire types 6 and 7 do not exist
           "\x0f\x01"sv,
           "unix:///run/x"sv,
       }) {
    CAPTURE(bytes.size());
    CHECK_FALSE(reads(bytes));
  }
}

TEST_CASE("ProtoReader: a field of another type than asked for is malformed, and stops the loop") {
  ProtoReader number("\x0a\x01x\x08\x01"sv);
  REQUIRE(number.next());
  CHECK(number.number() == 0);
  CHECK_FALSE(number.ok());
  CHECK_FALSE(number.next());

  ProtoReader bytes("\x08\x01\x08\x01"sv);
  REQUIRE(bytes.next());
  CHECK(bytes.bytes().empty());
  CHECK_FALSE(bytes.ok());
  CHECK_FALSE(bytes.next());
}

TEST_CASE("ProtoReader ends on every input of three bytes, and on every cut of a message") {
  for (uint32_t i = 0; i < 1u << 24; i += 7) {
    const char bytes[] = {static_cast<char>(i), static_cast<char>(i >> 8),
                          static_cast<char>(i >> 16)};
    reads({bytes, 3});
  }
  const std::string whole = ProtoWriter().bytes(1, "abc").number(2, 300).message(3, "x").take();
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(reads(whole.substr(0, size)) == (size == 0 || size == 5 || size == 8));
  }
}

TEST_CASE("ProtoWriter: a number that must be there is, also when it is 0") {
  CHECK(ProtoWriter().number(34, 0).text().empty());
  CHECK(ProtoWriter().present_number(34, 0).text() == "\x90\x02\x00"sv);
}
