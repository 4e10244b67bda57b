#include <doctest/doctest.h>

#include "runtime/host/subids.h"

using namespace coracle::host;

TEST_CASE("the range granted in /etc/subuid: by name or by number, the first of his") {
  const char* text =
      "# a comment\n\nother:1:2\njoe:100000:65536\njoe:300000:5\n1000:400000:7\n1001:500000:8";
  CHECK(granted_range(text, "joe", 1000)->first == 100000);
  CHECK(granted_range(text, "joe", 1000)->size == 65536);
  CHECK(granted_range(text, "", 1000)->first == 400000);
  CHECK(granted_range(text, "ann", 1001)->size == 8);
  CHECK(!granted_range(text, "ann", 1002));
  CHECK(!granted_range("", "joe", 1000));
}

TEST_CASE("lines of /etc/subuid that make no sense are passed over") {
  for (const char* text :
       {"joe", "joe:", "joe:1", "joe:1:", "joe:x:5", "joe:1:x", "joe:1:0", "joe:-1:5",
        "joe:4294967290:100", "joe:99999999999:1", "joe:1:99999999999", ":1:2"}) {
    CAPTURE(text);
    CHECK(!granted_range(text, "joe", 1000));
  }
  CHECK(granted_range("joe:1:x\njoe:5:6", "joe", 1000)->first == 5);
  CHECK(!granted_range(":1:2", "", 1000));
}

TEST_CASE("the name of a uid in /etc/passwd") {
  const char* text = "root:x:0:0:root:/root:/bin/sh\njoe:x:1000:1000::/:/bin/sh\nbad\n:x:7:7::/:";
  CHECK(name_in(text, 0) == "root");
  CHECK(name_in(text, 1000) == "joe");
  CHECK(name_in(text, 1) == "");
  CHECK(name_in("", 0) == "");
}
