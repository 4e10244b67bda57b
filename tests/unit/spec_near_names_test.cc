#include <doctest/doctest.h>

#include "spec/json.h"
#include "spec/near_names.h"

using namespace coracle::spec;

TEST_CASE("near names: case and one slip") {
  for (const char* name : {"Resources", "RESOURCES", "resource", "resourcess", "resourcse",
                           "tesources", "rsources", "resaurces", "reSourcs"}) {
    CAPTURE(name);
    CHECK(is_near(name, "resources"));
    CHECK(is_near("resources", name));
  }
  for (const char* name : {"resources", "resoruec", "resour", "sources", "", "r", "xresourcesx",
                           "resuorsec", "eresourcs"}) {
    CAPTURE(name);
    CHECK_FALSE(is_near(name, "resources"));
  }
  CHECK(is_near("VM", "vm"));
  CHECK_FALSE(is_near("wm", "vm"));
  CHECK_FALSE(is_near("", "a"));
  CHECK(differ_by_case("aB", "Ab"));
  CHECK_FALSE(differ_by_case("a", "a"));
  CHECK_FALSE(differ_by_case("a", "ab"));
}

namespace {
std::vector<std::string> misses(std::string text) {
  return Document::parse_config(std::move(text), "config.json").near_misses();
}
}  // namespace

TEST_CASE("near names: a property that is nearly a known one is told with its place") {
  auto found = misses(R"({"ociVersion":"1.0.0","Hostname":"a",
"process":{"cwd":"/","arg":["a"],"args":["b"],"Args":["c"],"noNewPrivilege":true},
"mounts":[{"destination":"/a","option":["ro"]}],
"annotations":{"Hostnam":"x"},"windows":{},"x-own":1,
"linux":{"resources":{"memory":{"Limit":5}},"maskedpaths":[],"seccomp":null}})");
  REQUIRE(found.size() == 6);
  CHECK(found[1] ==
        "config.json:2:77: process.noNewPrivilege: not a property of the specification, ignored; "
        "there is \"noNewPrivileges\"");
}

TEST_CASE("near names: a flood of them is cut off") {
  std::string text = R"({"ociVersion":"1.0.0","mounts":[)";
  for (int i = 0; i < 200; ++i) text += R"({"destination":"/a","Type":"b"},)";
  text += R"({"destination":"/a"}]})";
  CHECK(misses(text).size() == 16);
}
