#include <doctest/doctest.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

TEST_CASE("working directory: made inside the root, through the root's own symlinks") {
  const TempDir dir;
  REQUIRE(mkdir((dir / "real").c_str(), 0755) == 0);
  REQUIRE(symlink("/real", (dir / "link").c_str()) == 0);
  REQUIRE(symlink("/nowhere", (dir / "dangling").c_str()) == 0);
  write_file(dir / "file", "");
  {
    const int line = in_child(0, [&dir] {
      Bench bench;
      Builder& b = bench.b;
      b.init("", plan::WorkDir{b.str("/link/a/./../b//c"), 0});
      b.init("", plan::WorkDir{b.str("/link/a/b"), plan::kWorkDirCreate | plan::kWorkDirOnlyMake});
      b.init("", plan::WorkDir{b.str("/link/a/../a/b//c/"), plan::kWorkDirCreate});
      b.init("", plan::WorkDir{b.str("/file/x"), plan::kWorkDirCreate});
      b.init("", plan::WorkDir{b.str("/dangling"), plan::kWorkDirCreate});
      bench.seal();
      bench.c.root = open(dir.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
      EXPECT(bench.run(0) == -ENOENT);
      EXPECT(bench.c.call == Call::k_chdir);
      EXPECT(chdir("/") == 0);
      EXPECT(bench.run(1) == 0);
      EXPECT(access((dir / "real/a/b").c_str(), F_OK) == 0);
      char cwd[256];
      EXPECT(getcwd(cwd, sizeof(cwd)) != nullptr && strcmp(cwd, "/") == 0);
      EXPECT(bench.run(2) == 0);
      EXPECT(getcwd(cwd, sizeof(cwd)) != nullptr);
      EXPECT(dir / "real/a/b/c" == cwd);
      EXPECT(bench.run(3) == -ENOTDIR);
      EXPECT(bench.run(4) == -ENOENT);
      EXPECT(access("/nowhere", F_OK) != 0);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("working directory: no way through /proc/self/fd (CVE-2024-21626)") {
  {
    const int line = in_child(0, [] {
      Bench bench;
      const int host = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC);
      char path[64];
      snprintf(path, sizeof(path), "/proc/self/fd/%d", host);
      bench.b.init("", plan::WorkDir{bench.b.str(path), plan::kWorkDirCreate});
      bench.seal();
      EXPECT(chdir("/") == 0);
      EXPECT(bench.run() == -ELOOP);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("working directory: one that is outside of the root is told by the kernel") {
  if (!is_root()) return;
  const TempDir dir;
  REQUIRE(mkdir((dir / "jail").c_str(), 0755) == 0);
  {
    const int line = in_child(CLONE_NEWNS, [&dir] {
      Bench bench;
      bench.b.init("", plan::WorkDir{bench.b.str("/"), 0});
      bench.seal();
      bench.c.root = open(dir.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
      EXPECT(chroot((dir / "jail").c_str()) == 0);
      EXPECT(bench.run() == -EACCES);
      EXPECT(bench.c.call == Call::k_getcwd);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("working directory: tried before and after the change of user") {
  if (!is_root()) return;
  const TempDir dir;
  REQUIRE(chmod(dir.path, 0755) == 0);
  REQUIRE(mkdir((dir / "mine").c_str(), 0700) == 0);
  REQUIRE(chown((dir / "mine").c_str(), 1000, 1000) == 0);
  REQUIRE(mkdir((dir / "roots").c_str(), 0700) == 0);
  {
    const int line = in_child(0, [&dir] {
      Bench bench;
      Builder& b = bench.b;
      const plan::Ref mine = b.str(dir / "mine"), roots = b.str(dir / "roots");
      plan::Capabilities none{};
      b.init("", none);  // root without capabilities may not enter `mine`
      b.init("", plan::WorkDir{mine, plan::kWorkDirFirst});
      b.init("", plan::WorkDir{mine, 0});
      b.init("", plan::WorkDir{mine, plan::kWorkDirAgain});
      b.init("", plan::WorkDir{roots, plan::kWorkDirAgain});
      bench.seal();
      EXPECT(chdir("/") == 0);
      EXPECT(bench.run(0) == 0);
      // The set-ids need their capability, so the user changes through what is left of root.
      EXPECT(bench.run(1) == 0);
      EXPECT(bench.run(2) == -EACCES);
      return 0;
    });
    CHECK(line == 0);
  }
  {
    const int line = in_child(0, [&dir] {
      Bench bench;
      Builder& b = bench.b;
      const plan::Ref mine = b.str(dir / "mine"), roots = b.str(dir / "roots");
      b.init("", plan::SetIds{1000, 1000});
      b.init("", plan::Capabilities{});
      b.init("", plan::WorkDir{roots, plan::kWorkDirAgain});
      b.init("", plan::WorkDir{mine, plan::kWorkDirAgain});
      b.init("", plan::WorkDir{roots, plan::kWorkDirAgain});
      bench.seal();
      EXPECT(chdir("/") == 0);
      EXPECT(bench.run(0) == 0);
      EXPECT(bench.run(1) == 0);
      EXPECT(bench.run(2) == -EACCES);
      EXPECT(bench.run(3) == 0);
      char cwd[256];
      EXPECT(getcwd(cwd, sizeof(cwd)) != nullptr && dir / "mine" == cwd);
      EXPECT(bench.run(4) == 0);  // already somewhere: the first step had got in
      EXPECT(getcwd(cwd, sizeof(cwd)) != nullptr && dir / "mine" == cwd);
      return 0;
    });
    CHECK(line == 0);
  }
}
