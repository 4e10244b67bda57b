#include <doctest/doctest.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

TEST_CASE("stdio changes hands, but never /dev/null") {
  if (!is_root()) return;
  const TempDir dir;
  {
    const int line = in_child(0, [&dir] {
      const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
      const int file = open((dir / "log").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      EXPECT(dup2(null, 0) == 0);
      EXPECT(dup2(file, 1) == 1);
      close(2);
      struct stat before, after;
      EXPECT(fstat(0, &before) == 0);
      EXPECT(run_one(plan::StdioOwner{4321}) == 0);
      EXPECT(fstat(0, &after) == 0);
      EXPECT(after.st_uid == before.st_uid);
      EXPECT(fstat(1, &after) == 0);
      EXPECT(after.st_uid == 4321);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("only the promised fds and our own sockets stay open") {
  {
    const int line = in_child(0, [] {
      EXPECT(syscall(SYS_close_range, 3, ~0U, 0) == 0);
      const int file = open("/", O_PATH);
      EXPECT(file == 3);
      for (int fd = 4; fd < 40; ++fd) EXPECT(dup2(file, fd) == fd);
      Bench bench;
      const plan::Slot slot = bench.b.slot();
      bench.b.init("", plan::PreserveFds{5, slot});
      bench.b.init("", plan::PreserveFds{12, slot});
      bench.seal();
      bench.c.sync = 20;
      bench.c.start = -1;
      bench.c.root = 30;
      bench.c.fd(slot) = 10;
      EXPECT(bench.run(0) == 0);
      for (int fd = 3; fd < 40; ++fd) {
        const int flags = fcntl(fd, F_GETFD);
        const bool ours = fd == 10 || fd == 20;
        EXPECT(flags == (fd < 5 ? 0 : ours ? FD_CLOEXEC : -1));
      }
      EXPECT(bench.c.root == -1);
      EXPECT(bench.run(1) == -EBADF);  // 10 is promised to the program, but ours
      return 0;
    });
    CHECK(line == 0);
  }
}
