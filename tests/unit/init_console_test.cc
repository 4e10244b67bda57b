#include <doctest/doctest.h>
#include <sys/ioctl.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

namespace {

// A container root with a devpts, as the mounts would have left it.
struct ConsoleBench : Bench {
  int parent = -1;

  bool prepare(const TempDir& dir, bool devpts) {
    if (!make_private() || !mount_fs("tmpfs", dir.path)) return false;
    mkdir((dir / "dev").c_str(), 0755);
    mkdir((dir / "dev/pts").c_str(), 0755);
    if (devpts && !mount_fs("devpts", (dir / "dev/pts").c_str(), "ptmxmode")) return false;
    b.init("", plan::SetSession{});
    b.init("", plan::Console{31, 97, 1234, plan::kConsoleBind | plan::kConsoleSetSize});
    seal();
    c.root = open(dir.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return c.root >= 0 && connect_sync(*this, parent);
  }
};

}  // namespace

TEST_CASE("console: stdio, /dev/console, size, owner, and the master for the parent") {
  if (!is_root()) return;
  const TempDir dir;
  {
    const int line = in_child(CLONE_NEWNS | CLONE_NEWPID, [&dir] {
      ConsoleBench bench;
      EXPECT(bench.prepare(dir, true));
      EXPECT(bench.run(0) == 0);
      EXPECT(bench.run(1) == 0);
      const Received got = receive(bench.parent);
      EXPECT(got.message.kind == plan::MessageKind::kDescriptor);
      EXPECT(got.message.step == 1);
      EXPECT(strcmp(got.message.text, "/dev/pts/0") == 0);
      EXPECT(got.fd >= 0);
      for (int fd = 0; fd <= 2; ++fd) {
        EXPECT(isatty(fd) == 1);
        EXPECT((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0);
      }
      winsize size{};
      EXPECT(ioctl(0, TIOCGWINSZ, &size) == 0);
      EXPECT(size.ws_row == 31);
      EXPECT(size.ws_col == 97);
      struct stat on_stdin, on_console;
      EXPECT(fstat(0, &on_stdin) == 0);
      EXPECT(stat((dir / "dev/console").c_str(), &on_console) == 0);
      EXPECT(on_stdin.st_uid == 1234);
      EXPECT(on_stdin.st_rdev == on_console.st_rdev);
      EXPECT(on_stdin.st_ino == on_console.st_ino);
      const int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
      EXPECT(tty >= 0);  // it is the controlling terminal
      EXPECT(write(1, "hi", 2) == 2);
      char text[8] = {};
      EXPECT(read(got.fd, text, sizeof(text)) == 2);
      EXPECT(strcmp(text, "hi") == 0);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("console: no symlink is followed, and only a devpts is believed (CVE-2025-52565)") {
  if (!is_root()) return;
  const TempDir dir, canary;
  write_file(canary / "file", "untouched");
  {
    const int line = in_child(CLONE_NEWNS | CLONE_NEWPID, [&] {
      ConsoleBench bench;
      EXPECT(bench.prepare(dir, true));
      EXPECT(symlink((canary / "file").c_str(), (dir / "dev/console").c_str()) == 0);
      EXPECT(bench.run(0) == 0);
      EXPECT(bench.run(1) == -ELOOP);
      EXPECT(bench.c.call == Call::k_openat2);
      EXPECT(read_at(AT_FDCWD, (canary / "file").c_str()) == "untouched");
      return 0;
    });
    CHECK(line == 0);
  }
  {
    const int line = in_child(CLONE_NEWNS | CLONE_NEWPID, [&] {
      ConsoleBench bench;
      EXPECT(bench.prepare(dir, false));
      EXPECT(mknod((dir / "dev/pts/ptmx").c_str(), S_IFREG | 0666, 0) == 0);
      EXPECT(bench.run(1) == -ENOTTY);
      EXPECT(bench.c.call == Call::k_verify);
      return 0;
    });
    CHECK(line == 0);
  }
  {
    const int line = in_child(CLONE_NEWNS | CLONE_NEWPID, [&] {
      ConsoleBench bench;
      EXPECT(bench.prepare(dir, false));
      EXPECT(rmdir((dir / "dev/pts").c_str()) == 0);
      EXPECT(symlink("/dev/pts", (dir / "dev/pts").c_str()) == 0);
      EXPECT(bench.run(1) == -ELOOP);
      return 0;
    });
    CHECK(line == 0);
  }
}
