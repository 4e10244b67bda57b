#include <doctest/doctest.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

namespace {

// The owner of stdin after StdioOwner{4321}, if that is `fd`.
uid_t owner_after(int fd) {
  struct stat after {};
  if (fd < 0 || dup2(fd, 0) != 0 || run_one(plan::StdioOwner{4321}) != 0) return 1;
  return fstat(0, &after) == 0 ? after.st_uid : 2;
}

int opened(const std::string& path, int flags) {
  return open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0600);
}

}  // namespace

TEST_CASE("stdio changes hands if it is a pipe, or a file to write to") {
  if (!is_root()) return;
  const TempDir dir;
  const int line = in_child(0, [&dir] {
    int ends[2];
    EXPECT(pipe(ends) == 0);
    EXPECT(owner_after(ends[0]) == 4321);
    close(1);
    close(2);
    const std::string log = dir / "log";
    EXPECT(owner_after(opened(log, O_WRONLY | O_CREAT | O_APPEND)) == 4321);
    const std::string temporary = dir / "gone";
    EXPECT(close(opened(temporary, O_WRONLY | O_CREAT)) == 0);
    const int file = opened(temporary, O_RDONLY);
    EXPECT(unlink(temporary.c_str()) == 0);
    EXPECT(owner_after(file) == 4321);
    return 0;
  });
  CHECK(line == 0);
}

TEST_CASE("no device and no file that is only read changes hands") {
  if (!is_root()) return;
  const TempDir dir;
  const int line = in_child(0, [&dir] {
    for (const char* device : {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"}) {
      EXPECT(owner_after(opened(device, O_RDWR)) == 0);
    }
    EXPECT(owner_after(opened("/dev/ptmx", O_RDWR)) == 0);
    EXPECT(owner_after(opened(dir / "lent", O_RDONLY | O_CREAT)) == 0);
    return 0;
  });
  CHECK(line == 0);
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
