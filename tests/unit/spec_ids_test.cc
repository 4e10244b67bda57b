#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <string>

#include "spec/error.h"
#include "spec/ids.h"

using namespace coracle::spec;

TEST_CASE("container IDs") {
  for (std::string_view good : {"a", "abc-123_4.5+6", ".hidden", "...", "-", "A"}) {
    CAPTURE(good);
    CHECK(is_container_id(good));
    CHECK_NOTHROW(check_container_id(good));
  }
  for (std::string_view bad : {"", ".", "..", "a/b", "a b", "a\n", "ä", "a:b", "a\\b", "*"}) {
    CAPTURE(bad);
    CHECK(!is_container_id(bad));
    CHECK_THROWS_WITH_AS(check_container_id(bad), doctest::Contains("invalid container ID format"),
                         Error);
  }
  CHECK(is_container_id(std::string(1024, 'x')));
  CHECK(!is_container_id(std::string(1025, 'x')));
}

TEST_CASE("users are numbers") {
  CHECK(parse_user("0").uid == 0);
  CHECK(!parse_user("7").gid);
  CHECK(parse_user("1000:1001").uid == 1000);
  CHECK(parse_user("1000:1001").gid == 1001u);
  CHECK(parse_user("4294967294:4294967294").uid == 4294967294u);
  for (std::string_view bad : {"", "root", ":", "1:", ":1", "-1", "+1", " 1", "1 ", "1:2:3", "0x1",
                               "4294967295", "4294967296", "1:4294967295", "1.0"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_user(bad), Error);
  }
}

TEST_CASE("signals by name and number") {
  struct {
    std::string_view text;
    int number;
  } const good[] = {
      {"TERM", SIGTERM},
      {"SIGTERM", SIGTERM},
      {"sigterm", SIGTERM},
      {"Kill", SIGKILL},
      {"9", 9},
      {"0", 0},
      {"64", 64},
      {"RTMIN", 34},
      {"SIGRTMIN+3", 37},
      {"rtmin+0", 34},
      {"RTMAX", 64},
      {"SIGRTMAX-1", 63},
      {"RTMIN+30", 64},
      {"POLL", SIGIO},
      {"IOT", SIGABRT},
      {"CLD", SIGCHLD},
  };
  for (const auto& row : good) {
    CAPTURE(row.text);
    CHECK(parse_signal(row.text) == row.number);
  }
  for (std::string_view bad : {"", "SIG", "NOPE", "65", "-1", "1x", "SIGSIGTERM", "RTMIN+31",
                               "RTMIN-1", "RTMAX+1", "RTMIN3", "RTMIN+", " TERM", "15 "}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_signal(bad), Error);
  }
}

TEST_CASE("every signal has a name that leads back to it") {
  for (int number = 1; number <= 64; ++number) {
    if (number == 32 || number == 33) continue;  // the C library's own
    CAPTURE(number);
    REQUIRE(!signal_name(number).empty());
    CHECK(parse_signal(signal_name(number)) == number);
  }
  CHECK(signal_name(6) == "SIGABRT");
  CHECK(signal_name(0) == "");
  CHECK(signal_name(65) == "");
}

TEST_CASE("lists of CPUs and nodes") {
  auto list = parse_number_list("0-3,7");
  REQUIRE(list);
  CHECK(*list == NumberRanges{{0, 3}, {7, 7}});
  CHECK(parse_number_list(" 1 , 2 - 4\n") == NumberRanges{{1, 1}, {2, 4}});
  CHECK(parse_number_list("65535"));
  for (std::string_view bad : {"", " ", ",", "1,", ",1", "1,,2", "3-1", "a", "-1", "1-", "1-2-3",
                               "65536", "0-99999999", "1;2", "0-10:2/5", "0x1"}) {
    CAPTURE(bad);
    CHECK(!parse_number_list(bad));
  }
}

TEST_CASE("sizes with units") {
  struct {
    std::string_view text;
    int64_t bytes;
  } const good[] = {
      {"0", 0},
      {"512M", 512ll << 20},
      {"512m", 512ll << 20},
      {"1k", 1024},
      {"2GiB", 2ll << 30},
      {"3gb", 3ll << 30},
      {"1T", 1ll << 40},
      {"1p", 1ll << 50},
      {"7b", 7},
      {"-1", -1},
      {"9223372036854775807", INT64_MAX},
  };
  for (const auto& row : good) {
    CAPTURE(row.text);
    CHECK(parse_size(row.text) == row.bytes);
  }
  for (std::string_view bad : {"", "M", "-2", "1.5g", "1x", "1 M", "1mm", "1kib2", "1bb", "1ib",
                               "9223372036854775808", "8589934592g", "+1"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_size(bad), Error);
  }
}

TEST_CASE("cgroup paths do not climb") {
  for (std::string_view good : {"/a", "a/b", "system.slice:docker:x", "/a/..b", "/", "/a/./b"}) {
    CAPTURE(good);
    CHECK(is_cgroup_path(good));
  }
  for (std::string_view bad : {"", "..", "/..", "a/../b", "/a/..", "a\nb", "a\x01"}) {
    CAPTURE(bad);
    CHECK(!is_cgroup_path(bad));
  }
}

TEST_CASE("ranges of numbers in order, each number once") {
  using Ranges = NumberRanges;
  CHECK(merge_ranges({}).empty());
  CHECK((merge_ranges({{7, 9}, {0, 3}, {8, 8}, {2, 5}}) == Ranges{{0, 5}, {7, 9}}));
  CHECK((merge_ranges({{0, 1}, {2, 3}}) == Ranges{{0, 1}, {2, 3}}));
  CHECK((merge_ranges({{5, 5}, {5, 5}}) == Ranges{{5, 5}}));
}

TEST_CASE("both forms of a sysctl key") {
  CHECK(sysctl_path("net.ipv4.ip_forward") == "net/ipv4/ip_forward");
  CHECK(sysctl_path("net/ipv4/ip_forward") == "net/ipv4/ip_forward");
  CHECK(sysctl_path("net.ipv4.conf.eno2/100.mtu") == "net/ipv4/conf/eno2.100/mtu");
  CHECK(sysctl_path("net/ipv4/conf/eno2.100/mtu") == "net/ipv4/conf/eno2.100/mtu");
  CHECK(sysctl_path("single") == "single");
  for (std::string_view bad : {"", ".", "/", "a.", ".a", "/a", "a/", "a..b", "a//b", "a/../b",
                               "a/./b", "net.//.x", "a.b\n", "a\x1b.b", "a.\x7f"}) {
    CAPTURE(bad);
    CHECK(!sysctl_path(bad));
  }
}

TEST_CASE("capabilities and resource limits by name") {
  CHECK(capability_number("CAP_CHOWN") == 0);
  CHECK(capability_number("CAP_SYS_ADMIN") == 21);
  CHECK(capability_number("CAP_CHECKPOINT_RESTORE") == 40);
  for (int i = 0; i < kCapabilityCount; ++i) CHECK(capability_number(capability_name(i)) == i);
  for (std::string_view bad : {"", "CHOWN", "cap_chown", "CAP_NOPE", "CAP_"}) {
    CHECK(!capability_number(bad));
  }
  CHECK(capability_name(41) == "");
  CHECK(capability_name(-1) == "");

  CHECK(rlimit_number("RLIMIT_NOFILE") == RLIMIT_NOFILE);
  CHECK(rlimit_name(RLIMIT_STACK) == "RLIMIT_STACK");
  for (int i = 0; i < 16; ++i) CHECK(rlimit_number(rlimit_name(i)) == i);
  CHECK(!rlimit_number("RLIMIT_OFILE"));
  CHECK(!rlimit_number("NOFILE"));
  CHECK(rlimit_name(16) == "");
}

TEST_CASE("semantic versions") {
  for (std::string_view good : {"1.0.0", "1.2.3-rc.1", "1.0.2-dev", "1.3.0+dev", "0.5.0-dev",
                                "1.0.0-x-y-z.0+b.001", "1.0.0--", "10.20.30"}) {
    CAPTURE(good);
    CHECK(parse_version(good));
  }
  CHECK(parse_version("1.2.3-rc.1+b")->minor == 2);
  CHECK(parse_version("1.2.3-rc.1+b")->prerelease == "rc.1");
  for (std::string_view bad :
       {"", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.00.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b",
        "1.0.0+", "1.0.x", " 1.0.0", "1.0.0 ", "-1.0.0", "1..0", "1.0.0-ä"}) {
    CAPTURE(bad);
    CHECK(!parse_version(bad));
  }
}

TEST_CASE("interface names") {
  CHECK(is_interface_name("eth0.100"));
  CHECK(is_interface_name("fifteen-letters"));
  for (std::string_view bad : {"", ".", "..", "a/b", "a b", "a:1", "sixteen--letters"}) {
    CAPTURE(bad);
    CHECK(!is_interface_name(bad));
  }
}
