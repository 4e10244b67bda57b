#include <doctest/doctest.h>

#include <cstdint>

#include "spec/text.h"

using namespace coracle::spec;

TEST_CASE("pieces of all kinds are joined") {
  std::string owned = "o";
  std::string_view view = "v";
  CHECK(cat("a", owned, view, 'c', 1, -2, uint64_t{UINT64_MAX}, INT64_MIN) ==
        "aovc1-218446744073709551615-9223372036854775808");
  std::string out = "x";
  append(out, 1, "y");
  CHECK(out == "x1y");
  CHECK(cat() == "");
}

TEST_CASE("quoting keeps control characters off the terminal") {
  CHECK(quoted("a\"b\\c\n\x1b\x7f") == R"("a\"b\\c\x0a\x1b\x7f")");
  CHECK(quoted("ä") == "\"ä\"");
}

TEST_CASE("well-formed UTF-8 is accepted") {
  for (std::string_view good :
       {"", "plain", "eight by8", "ä€", "\xf0\x9f\x90\xb3 whale", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xf4\x8f\xbf\xbf", "\xe0\xa0\x80", "\xc2\x80"}) {
    CAPTURE(good);
    CHECK(find_invalid_utf8(good) == good.size());
    CHECK(to_utf8(good) == good);
  }
}

TEST_CASE("ill-formed UTF-8 is found at its place") {
  struct {
    std::string_view text;
    size_t at;
  } const rows[] = {
      {"\x80", 0},                    // continuation without a start
      {"ab\xc0\xaf", 2},              // overlong slash
      {"\xc1\xbf", 0},                // overlong
      {"\xe0\x9f\xbf", 0},            // overlong
      {"\xf0\x8f\xbf\xbf", 0},        // overlong
      {"\xed\xa0\x80", 0},            // surrogate
      {"\xf4\x90\x80\x80", 0},        // above U+10FFFF
      {"\xf5\x80\x80\x80", 0},        // above U+10FFFF
      {"12345678\xff", 8},            // after a block of eight
      {"1234567\xc3", 7},             // cut short
      {"\xe2\x82", 0},                // cut short
      {"12345678\xe2\x82 45678", 8},  // cut short by a space
  };
  for (const auto& row : rows) {
    CAPTURE(row.at);
    CHECK(find_invalid_utf8(row.text) == row.at);
    CHECK(to_utf8(row.text) != row.text);
    CHECK(find_invalid_utf8(to_utf8(row.text)) == to_utf8(row.text).size());
  }
  CHECK(to_utf8("a\xff"
                "b") ==
        "a\xef\xbf\xbd"
        "b");
}
