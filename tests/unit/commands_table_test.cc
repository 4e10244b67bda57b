#include <doctest/doctest.h>

#include "runtime/commands/ps.h"
#include "runtime/commands/table.h"
#include "spec/error.h"

using coracle::commands::align;
using coracle::commands::filter_ps_table;
using coracle::commands::user_name;
using coracle::spec::Error;

TEST_CASE("align: columns of at least 12, three blanks between, no padding at the end") {
  CHECK(align({{"ID", "PID"}, {"a", "1"}}) == "ID          PID\na           1\n");
  CHECK(align({{"ID", "X"}, {"0123456789ab", "y"}}) == "ID             X\n0123456789ab   y\n");
  CHECK(align({}) == "");
}

TEST_CASE("user_name: from the text of passwd(5)") {
  const char* passwd = "root:x:0:0:root:/root:/bin/sh\n# a comment\nbad\nme:x:1000:100::/:/\n";
  CHECK(user_name(passwd, 0) == "root");
  CHECK(user_name(passwd, 1000) == "me");
  CHECK(user_name(passwd, 100) == "#100");
  CHECK(user_name("", 0) == "#0");
}

TEST_CASE("ps: only the rows of the container, by the column PID, wherever it is") {
  const char* table =
      "UID          PID    PPID CMD\n"
      "root           1       0 init\n"
      "root          12       1 sh -c 13\n"
      "13            14       1 x\n";
  CHECK(filter_ps_table(table, {12, 13}) ==
        "UID          PID    PPID CMD\nroot          12       1 sh -c 13\n");
  CHECK(filter_ps_table("  PID\n   14\n", {14}) == "  PID\n   14\n");
  CHECK(filter_ps_table(table, {}) == "UID          PID    PPID CMD\n");
  CHECK_THROWS_AS(filter_ps_table("UID CMD\n0 x\n", {1}), Error);
  CHECK_THROWS_AS(filter_ps_table("", {1}), Error);
}
