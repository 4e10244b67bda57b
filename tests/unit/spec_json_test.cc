#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "spec/error.h"
#include "spec/json.h"
#include "spec/text.h"

using namespace coracle::spec;

namespace {

struct Part {
  std::string name;
  int32_t size = 0;
};
struct Whole {
  bool yes = false;
  uint8_t small = 0;
  int64_t large = 0;
  uint64_t huge = 0;
  std::string text;
  std::optional<int32_t> maybe;
  std::optional<Part> part;
  std::vector<Part> parts;
  std::vector<std::string> words;
  std::vector<std::pair<std::string, std::string>> notes;
  Map<Part> by_name;
};

}  // namespace

template <>
struct coracle::spec::Fields<Part> {
  static constexpr Field kTable[] = {
      field<&Part::name>("name", kRequired),
      field<&Part::size>("size"),
  };
};
template <>
struct coracle::spec::Fields<Whole> {
  static constexpr Field kTable[] = {
      field<&Whole::yes>("yes"),        field<&Whole::small>("small"),
      field<&Whole::large>("large"),    field<&Whole::huge>("huge"),
      field<&Whole::text>("text"),      field<&Whole::maybe>("maybe"),
      field<&Whole::part>("part"),      field<&Whole::parts>("parts"),
      field<&Whole::words>("words"),    field<&Whole::notes>("notes"),
      field<&Whole::by_name>("byName"),
  };
};

static std::string error_of(std::string json) {
  try {
    read_json<Whole>(std::move(json), "f.json");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

static std::string repeated(std::string_view text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST_CASE("a described struct is read") {
  Text text(R"({"yes":true,"small":255,"large":-9223372036854775808,
      "huge":18446744073709551615,"text":"a\u00e4\n\"\\","maybe":-1,
      "part":{"name":"p"},"parts":[{"name":"q","size":2},{"name":"r"}],"words":["x",""],
      "notes":{"k.1":"v"},"byName":{"z":{"name":"n"}},"unknown":[{"a":[1.5,null,1e3]}]})",
            "f.json");
  Whole whole = text.parse<Whole>();
  CHECK(whole.yes);
  CHECK(whole.small == 255);
  CHECK(whole.large == INT64_MIN);
  CHECK(whole.huge == UINT64_MAX);
  CHECK(whole.text == "a\xc3\xa4\n\"\\");
  CHECK(whole.maybe == -1);
  REQUIRE(whole.part);
  CHECK(whole.part->name == "p");
  REQUIRE(whole.parts.size() == 2);
  CHECK(whole.parts[0].size == 2);
  CHECK(whole.words == std::vector<std::string>{"x", ""});
  REQUIRE(whole.notes.size() == 1);
  CHECK(whole.notes[0].first == "k.1");
  REQUIRE(whole.by_name.size() == 1);
  CHECK(whole.by_name[0].first == "z");
}

TEST_CASE("null counts as absent") {
  Whole whole = read_json<Whole>(R"({"maybe":null,"parts":null,"yes":null})", "f.json");
  CHECK(!whole.maybe);
  CHECK(whole.parts.empty());
  CHECK(error_of(R"({"part":{"name":null}})") ==
        R"(f.json:1:9: part: required property "name" is missing)");
}

TEST_CASE("strings are C strings and stay where they are when the text moves") {
  Text text(R"(["one","two"])", "f.json");
  Strings words = text.parse<Strings>();
  Text moved = std::move(text);
  CHECK(std::string(words[0].data()) == "one");
  CHECK(std::string(words[1].data()) == "two");
}

TEST_CASE("what is wrong is told with path, line and column") {
  struct {
    std::string json;
    std::string_view words;
  } const rows[] = {
      {R"({"yes":1})", "f.json:1:8: yes: expected true or false"},
      {R"({"text":7})", "f.json:1:9: text: expected a string"},
      {R"({"words":{}})", "f.json:1:10: words: expected an array"},
      {R"({"part":[]})", "f.json:1:9: part: expected an object"},
      {R"({"words":["a",
  2]})",
       "f.json:2:3: words[1]: expected a string"},
      {R"({"words":[null]})", "f.json:1:11: words[0]: expected a string"},
      {R"({"parts":[{"name":"a"},{"size":1}]})",
       R"(f.json:1:24: parts[1]: required property "name" is missing)"},
      {R"({"parts":[{"NAme":"a"}]})",
       R"(f.json:1:11: parts[0]: required property "name" is missing; "NAme" is another: upper and lower case matter)"},
      {R"({"notes":{"a.b":"x","c\"d":1}})", R"(f.json:1:10: notes["c\"d"]: expected a string)"},
      {R"({"notes":{"a.b":1}})", R"(f.json:1:17: notes["a.b"]: expected a string)"},
      {R"({"byName":{"x-1":{"name":[]}}})", "f.json:1:26: byName.x-1.name: expected a string"},
      {R"({"small":256})",
       "f.json:1:10: small: out of range: expected a whole number from 0 to 255"},
      {R"({"small":-1})",
       "f.json:1:10: small: out of range: expected a whole number from 0 to 255"},
      {R"({"small":"1"})", "f.json:1:10: small: expected a whole number from 0 to 255"},
      {R"({"small":1.0})",
       "f.json:1:10: small: not a whole number: expected a whole number from 0 to 255"},
      {R"({"small":1e0})",
       "f.json:1:10: small: not a whole number: expected a whole number from 0 to 255"},
      {R"({"maybe":2147483648})",
       "f.json:1:10: maybe: out of range: expected a whole number from -2147483648 to 2147483647"},
      {R"({"huge":18446744073709551616})",
       "f.json:1:9: huge: out of range: expected a whole number from 0 to 18446744073709551615"},
      {R"({"large":-9223372036854775809})",
       "f.json:1:10: large: out of range: expected a whole number from -9223372036854775808 to "
       "9223372036854775807"},
      {R"({"a":{"b":[{"c":1,"c":2}]}})", R"(f.json:1:12: a.b[0]: duplicate key "c")"},
      {R"({"yes":true,"yes":true})", R"(f.json:1:1: duplicate key "yes")"},
      {R"({"yes":null,"y\u0065s":true})", R"(f.json:1:1: duplicate key "yes")"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.json);
    CHECK(error_of(row.json) == row.words);
  }
}

TEST_CASE("duplicates are found in large objects too") {
  std::string json = "{\"notes\":{";
  for (int i = 0; i < 100; ++i) append(json, "\"k", i, "\":\"v\",");
  CHECK(error_of(cat(json, "\"last\":\"v\"}}")) == "");
  CHECK(error_of(cat(json, "\"k57\":\"v\"}}")) == R"(f.json:1:10: notes: duplicate key "k57")");
}

TEST_CASE("bad syntax is refused where it is") {
  struct {
    std::string json;
    std::string_view position;
  } const rows[] = {
      {"", "f.json:1:1: "},
      {"{]", "f.json:1:2: "},
      {"{\"a\":1,}", "f.json:1:8: "},
      {"{\"a\":[1,]}", "f.json:1:9: "},
      {"{} x", "f.json:1:4: "},
      {"{}{}", "f.json:1:3: "},
      {"{\n\"a\" 1}", "f.json:2:5: "},
      {"{\"a\":01}", "f.json:1:7: "},
      {"{\"a\":+1}", "f.json:1:6: "},
      {"{\"a\":.5}", "f.json:1:6: "},
      {"{\"a\":NaN}", "f.json:1:6: "},
      {"{'a':1}", "f.json:1:2: "},
      {"{/*c*/}", "f.json:1:2: "},
      {"{\"a\":\"\t\"}", "f.json:1:"},
      {"{\"a\":\"\\x\"}", "f.json:1:"},
      {"{\"a\":\"\\ud800\"}", "f.json:1:"},
      {"{\"a\":\"\\udc00\"}", "f.json:1:"},
      {"{\"a\":\"\\u0000\"}", "f.json:1:"},
      {"{\"\\u0000\":1}", "f.json:1:"},
      {"{\"a\":\"\xff\"}", "f.json:1:7: not valid UTF-8"},
      {"\xef\xbb\xbf{}", "f.json:1:1: "},
      {std::string("{}\0{}", 5), "f.json:1:3: a NUL character"},
      {"{\"a\":1", "f.json:1:"},
      {"null", "f.json:1:1: expected an object or an array"},
      {"7", "f.json:1:1: expected an object or an array"},
      {"\"text\"", "f.json:1:1: expected an object or an array"},
      {"true", "f.json:1:1: expected an object or an array"},
      {"[]", "f.json:1:1: expected an object"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.json);
    std::string words = error_of(row.json);
    CAPTURE(words);
    CHECK(words.starts_with(row.position));
  }
}

TEST_CASE("numbers that have broken the library's conversion are harmless") {
  // CVE-2024-38517, CVE-2024-39684: exponents near INT_MIN behind many fraction digits.
  CHECK(error_of(cat("{\"x\":0.", std::string(20, '1'), "e-2147483639}")) == "");
  CHECK(error_of(cat("{\"x\":1", std::string(20, '0'), ".", std::string(4000, '3'),
                     "e-2147483647}")) == "");
  CHECK(error_of("{\"x\":-0,\"small\":-0}") == "");
}

TEST_CASE("limits hold") {
  auto nested = [](size_t levels) {
    return cat("{\"x\":", repeated("[", levels - 1), repeated("]", levels - 1), "}");
  };
  CHECK(error_of(nested(kMaxDepth)) == "");
  CHECK(error_of(nested(kMaxDepth + 1)).find("64 levels") != std::string::npos);
  CHECK(error_of(nested(100000)).find("64 levels") != std::string::npos);

  auto text = [](size_t size) { return cat("{\"text\":\"", std::string(size, 'a'), "\"}"); };
  CHECK(error_of(text(kMaxStringSize)) == "");
  CHECK(error_of(text(kMaxStringSize + 1)).find("1 MiB") != std::string::npos);

  auto array = [](size_t count) { return cat("{\"x\":[", repeated("1,", count - 1), "1]}"); };
  CHECK(error_of(array(kMaxElements)) == "");
  CHECK(error_of(array(kMaxElements + 1)).find("65536") != std::string::npos);

  auto spaces = [](size_t size) { return cat("{}", std::string(size - 2, ' ')); };
  CHECK(error_of(spaces(kMaxDocumentSize)) == "");
  CHECK(error_of(spaces(kMaxDocumentSize + 1)).find("16 MiB") != std::string::npos);
}

TEST_CASE("a part of a configuration is named by its place in the whole") {
  try {
    Document::parse_process(R"({"cwd":"/","user":{"uid":-1}})", "process.json");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.path() == "process.user.uid");
    CHECK(error.line() == 1);
    CHECK(error.column() == 26);
  }
  try {
    Document::parse_mounts(R"([{"destination":"/a"},{"destination":3}])", "m.json");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "m.json:1:38: mounts[1].destination: expected a string");
  }
  CHECK(Document::parse_mounts(R"([{"destination":"/a"}])", "m").spec.mounts.size() == 1);
  auto resources = Document::parse_resources(R"({"pids":{"limit":3}})", "r");
  CHECK(resources.resources().pids->limit == 3);
}

TEST_CASE("raw control characters are refused wherever they lie in a string") {
  for (char c = 1; c < ' '; ++c) {
    for (size_t at = 0; at < 40; ++at) {
      std::string text(40, 'a');
      text[at] = c;
      CAPTURE(c);
      CAPTURE(at);
      CHECK_THROWS_AS(read_json<std::vector<std::string>>("[\"" + text + "\"]", "x"), Error);
      CHECK_THROWS_AS(read_json<std::vector<std::string>>("[\"\\n" + text + "\"]", "x"), Error);
    }
  }
  CHECK_THROWS_WITH_AS(read_json<std::vector<std::string>>("[\n\"a\x1b\"]", "x"),
                       "x:2:3: a control character", Error);
}
