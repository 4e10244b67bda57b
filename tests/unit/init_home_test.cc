#include <doctest/doctest.h>

#include "runtime/init/home.h"
#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

static std::string home_of(uint32_t uid, const std::string& passwd, size_t piece,
                           size_t room = 64) {
  char home[64] = "?";
  init::HomeFinder finder(uid, home, room);
  bool found = false;
  for (size_t i = 0; i < passwd.size() && !found; i += piece)
    found = finder.read(passwd.data() + i, std::min(piece, passwd.size() - i));
  if (!found) found = finder.finish();
  return found ? home : "-";
}

TEST_CASE("HOME by uid, whatever the pieces in which passwd is read") {
  const std::string passwd =
      "root:x:0:0:root:/root:/bin/sh\n"
      "# comment\n"
      "broken:x:1000\n"
      "worse:x:10x00:0::/wrong:\n"
      "big:x:4294968296:0::/wrapped:/bin/sh\n"
      "relative:x:1000:1000::home/rel:/bin/sh\n"
      "app:x:1000:1000:An App:/home/app:/bin/sh\n"
      "twice:x:1000:1000::/home/second:/bin/sh\n"
      "empty::::::\n"
      "last:x:7:7::/home/last:/bin/false";
  for (size_t piece : {1, 2, 3, 7, 4096}) {
    CHECK(home_of(0, passwd, piece) == "/root");
    CHECK(home_of(1000, passwd, piece) == "/home/app");
    CHECK(home_of(7, passwd, piece) == "/home/last");
    CHECK(home_of(8, passwd, piece) == "-");
  }
  CHECK(home_of(0, passwd, 5, 6) == "/root");
  CHECK(home_of(0, passwd, 5, 5) == "-");  // no room: not cut off
  CHECK(home_of(0, "", 1) == "-");
}

TEST_CASE("HOME comes from the container's passwd, or is /") {
  const TempDir dir;
  REQUIRE(mkdir((dir / "etc").c_str(), 0755) == 0);
  write_file(dir / "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nme:x:77:1::/home/me:/bin/sh\n");
  for (const auto& [uid, expected] :
       {std::pair<uint32_t, const char*>{77, "HOME=/home/me"}, {78, "HOME=/"}}) {
    Bench bench;
    std::string buffer = "HOME=";
    buffer.append(31, '\0');
    const plan::Ref home = bench.b.str(buffer);
    bench.b.init("", plan::FindHome{home, 32, uid});
    bench.seal();
    bench.c.root = open(dir.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(bench.run() == 0);
    CHECK(std::string(bench.c.str(home)) == expected);
    close(bench.c.root);
  }
}
