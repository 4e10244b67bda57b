#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "runtime/criu/log.h"
#include "runtime/sys/file.h"
#include "tests/unit/temporary_directory.h"

using coracle::criu::errors_of;
using coracle::criu::errors_of_file;

TEST_CASE("criu log: the errors, without what stands around them") {
  const char* log =
      "(00.000001) Version: 3.17.1\n"
      "(00.000002) Error (criu/mount.c:1088): mnt: Mount 5 has no root\n"
      "(00.000003)      1: Error (criu/files.c:12): Can't open\n"
      "(00.000003)      1: Error (criu/files.c:12): Can't open\n"
      "(00.000004) Warn  (criu/x.c:1): Error is no error here\n"
      "(00.000005) Error (criu/cr-dump.c:2098): Dumping FAILED.\n";
  CHECK(errors_of(log, 4) == "mnt: Mount 5 has no root; Can't open");
  CHECK(errors_of(log, 1) == "Can't open");
  CHECK(errors_of("", 4).empty());
  CHECK(errors_of("no errors\n", 4).empty());
  CHECK(errors_of("Error (criu/util.c:1): no newline", 4) == "no newline");
  CHECK(errors_of("Error (cut", 4) == "Error (cut");
}

TEST_CASE("criu log: a name in it can neither break a line nor steer a terminal") {
  CHECK(errors_of("Error (criu/x.c:1): open \x1b[2J\rx", 4) == "open \\x1b[2J\\x0dx");
  CHECK(errors_of("Error (criu/x.c:1): " + std::string(10'000, 'x'), 4).size() == 400);
}

TEST_CASE(
    "criu log: of a long file the end counts; a missing one, a fifo and a folder say nothing") {
  const coracle::tests::TemporaryDirectory scratch;
  const std::string path = scratch.path() + "/dump.log";
  CHECK(errors_of_file(path).empty());
  CHECK(errors_of_file(scratch.path()).empty());
  REQUIRE(mkfifo((scratch.path() + "/fifo").c_str(), 0600) == 0);
  CHECK(errors_of_file(scratch.path() + "/fifo").empty());

  std::string text = "Error (criu/x.c:1): at the start\n";
  for (int i = 0; i < 40'000; ++i) text += "(00.000001) nothing\n";
  text += "Error (criu/x.c:1): at the end\n";
  const coracle::sys::Fd file =
      coracle::sys::open_at(coracle::sys::At::cwd(), path.c_str(), O_WRONLY | O_CREAT, 0, 0600);
  REQUIRE(coracle::sys::write_all(file, text) == 0);
  CHECK(errors_of_file(path) == "at the end");
}
