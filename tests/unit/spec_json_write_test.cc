#include <doctest/doctest.h>

#include <algorithm>
#include <climits>

#include "spec/error.h"
#include "spec/json.h"
#include "spec/json_write.h"

using namespace coracle::spec;

static JsonWriter& sample(JsonWriter& json) {
  json.begin_object().add("text", "a\"b\\\n\x01/").add("yes", true).add("low", INT64_MIN);
  json.add("high", UINT64_MAX).key("none").null().key("empty").begin_array().end_array();
  json.key("list").array(std::vector<int>{1, 2});
  json.key("map").object(Map<std::string_view>{{"k", "v"}});
  return json.end_object();
}

TEST_CASE("compact JSON has no spaces") {
  JsonWriter json(JsonStyle::kCompact);
  CHECK(sample(json).take() ==
        R"({"text":"a\"b\\\n\u0001/","yes":true,"low":-9223372036854775808,)"
        R"("high":18446744073709551615,"none":null,"empty":[],"list":[1,2],"map":{"k":"v"}})");
}

TEST_CASE("indented JSON has a member a line") {
  JsonWriter json(JsonStyle::kSpaces);
  json.begin_object().add("a", 1).key("b").array(Strings{"x"});
  json.key("c").begin_object().end_object().end_object();
  CHECK(json.take() == "{\n  \"a\": 1,\n  \"b\": [\n    \"x\"\n  ],\n  \"c\": {}\n}");
  JsonWriter tabs(JsonStyle::kTabs);
  CHECK(tabs.begin_array().value(1).end_array().take() == "[\n\t1\n]");
}

TEST_CASE("a writer can be used again") {
  JsonWriter json(JsonStyle::kCompact);
  CHECK(json.begin_array().end_array().take() == "[]");
  CHECK(json.begin_object().end_object().take() == "{}");
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD") {
  JsonWriter json(JsonStyle::kCompact);
  CHECK(json.begin_array().value("a\xff\xc3").end_array().take() ==
        "[\"a\xef\xbf\xbd\xef\xbf\xbd\"]");
}

TEST_CASE("a wrong order of calls throws") {
  JsonWriter open(JsonStyle::kCompact);
  CHECK_THROWS_AS(open.begin_object().take(), Error);
  JsonWriter closed(JsonStyle::kCompact);
  CHECK_THROWS_AS(closed.begin_object().end_array(), Error);
  JsonWriter keyless(JsonStyle::kSpaces);
  CHECK_THROWS_AS(keyless.begin_object().value(1), Error);
}

TEST_CASE("control characters are escaped wherever they lie in a string") {
  for (char c = 1; c < ' '; ++c) {
    for (size_t at = 0; at < 40; ++at) {
      std::string text(40, 'a');
      text[at] = c;
      JsonWriter json(JsonStyle::kCompact);
      json.begin_array().value("x").value(text).end_array();
      const std::string written = json.take();
      CAPTURE(at);
      CHECK(std::count(written.begin(), written.end(), c) == 0);
      CHECK(read_json<std::vector<std::string>>(written, "x").at(1) == text);
    }
  }
}
