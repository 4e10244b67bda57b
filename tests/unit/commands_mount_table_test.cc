#include <doctest/doctest.h>

#include <ctime>
#include <string>

#include "runtime/commands/mount_table.h"

using coracle::commands::MountedEntry;
using coracle::commands::parse_mount_table;

TEST_CASE("mountinfo: the kernel's example, escapes, a bind mount's source") {
  const auto entries = parse_mount_table(
      "36 35 98:0 / /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
      "40 36 0:5 /a\\040b /x\\134y ro,nosuid - tmpfs none rw,size=64k\n"
      "41 36 0:6 / /proc rw shared:5 master:2 - proc proc rw\n");
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].destination == "/mnt2");
  CHECK(entries[0].type == "ext3");
  CHECK(entries[0].source == "/dev/root");
  CHECK(entries[0].options == "rw,noatime,errors=continue");
  CHECK(entries[1].destination == "/x\\y");
  CHECK(entries[1].source == "/a b");
  CHECK(entries[1].options == "ro,nosuid,size=64k");
  CHECK(entries[2].options == "rw");
}

TEST_CASE("mountinfo: lines of another form are passed over") {
  CHECK(parse_mount_table("").empty());
  CHECK(parse_mount_table("\n\n").empty());
  CHECK(parse_mount_table("36 35 98:0 / /mnt rw ext3 /dev/root rw\n").empty());
  CHECK(parse_mount_table("36 35 98:0 / /mnt rw - ext3 /dev/root rw").size() == 1);
}

TEST_CASE("mountinfo: an option of mount and file system stands once, of 100,000 too") {
  const auto once = parse_mount_table("1 2 0:3 / /m ro,nosuid - t s rw,nosuid,a,a,b=1\n");
  REQUIRE(once.size() == 1);
  CHECK(once[0].options == "ro,nosuid,a,b=1");
  std::string line = "1 2 0:3 / /m rw - t s rw";
  for (int i = 0; i < 100000; ++i) line += ",o" + std::to_string(i);
  const clock_t start = clock();
  CHECK(parse_mount_table(line).at(0).options.ends_with(",o99999"));
  CHECK(clock() - start < 2 * CLOCKS_PER_SEC);
}
