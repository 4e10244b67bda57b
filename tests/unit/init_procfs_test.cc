#include <doctest/doctest.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

TEST_CASE("sysctls are written even where something else is mounted on /proc") {
  if (!is_root()) return;
  {
    const int line = in_child(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID, [] {
      EXPECT(make_private());
      EXPECT(mount_fs("tmpfs", "/proc"));
      Bench bench;
      Builder& b = bench.b;
      const plan::SysctlValue good[] = {{b.str("kernel/msgmax"), b.str("4321")},
                                        {b.str("kernel/msgmni"), b.str("77")}};
      const plan::SysctlValue bad[] = {{b.str("kernel/msgmax"), b.str("4322")},
                                       {b.str("kernel/nothing"), b.str("1")}};
      b.init("", plan::Sysctl{b.list(good, 2)});
      b.init("", plan::Sysctl{b.list(bad, 2)});
      bench.seal();
      EXPECT(bench.run(0) == 0);
      EXPECT(bench.run(1) == -ENOENT);
      EXPECT(bench.c.extra == 1);
      EXPECT(strcmp(bench.c.text, "sys/kernel/nothing") == 0);
      EXPECT(bench.c.procfs == -1);  // the whole procfs is not kept
      EXPECT(openat(AT_FDCWD, "/proc/sys", O_PATH | O_CLOEXEC) < 0);
      EXPECT(mount_fs("proc", "/proc"));
      EXPECT(read_at(AT_FDCWD, "/proc/sys/kernel/msgmax") == "4322\n");
      EXPECT(read_at(AT_FDCWD, "/proc/sys/kernel/msgmni") == "77\n");
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("oom_score_adj goes through a procfs of processes only, kept for the next one") {
  if (!is_root()) return;
  {
    const int line = in_child(CLONE_NEWPID | CLONE_NEWNS, [] {
      Bench bench;
      bench.b.init("", plan::OomScoreAdj{321});
      bench.b.init("", plan::OomScoreAdj{1001});
      bench.seal();
      EXPECT(bench.run(0) == 0);
      EXPECT(bench.c.procfs >= 0);
      EXPECT(read_at(bench.c.procfs, "1/oom_score_adj") == "321\n");
      EXPECT(openat(bench.c.procfs, "sys", O_PATH | O_CLOEXEC) < 0);
      const int kept = bench.c.procfs;
      EXPECT(bench.run(1) == -EINVAL);
      EXPECT(bench.c.call == Call::k_write);
      EXPECT(bench.c.procfs == kept);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("a label that no LSM takes is an error of its step") {
  if (!is_root()) return;
  CHECK(
      in_child(CLONE_NEWPID | CLONE_NEWNS, [] {
        Bench bench;
        bench.b.init("", plan::ProcessLabel{bench.b.str("exec"), bench.b.str("nobody:knows:this")});
        bench.seal();
        EXPECT(bench.run() < 0);
        return 0;
      }) == 0);
}

// A new procfs is refused where parts of the visible one are hidden for good (mount_too_revealing
// in the kernel): then that one is used, but only through what the number of the process there
// says.
TEST_CASE("oom_score_adj in a user namespace whose /proc is masked") {
  if (!is_root()) return;
  const int line = in_child(CLONE_NEWNS | CLONE_NEWPID, [] {
    EXPECT(make_private());
    EXPECT(mount_fs("proc", "/proc"));
    EXPECT(mount_fs("tmpfs", "/proc/sys"));
    // With a procfs of the outer pid namespace our number there is not 1.
    return in_child(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID, [] {
      Bench bench;
      bench.b.init("", plan::OomScoreAdj{250});
      bench.seal();
      EXPECT(getpid() == 1);
      EXPECT(bench.run() == 0);
      EXPECT(read_at(AT_FDCWD, "/proc/self/oom_score_adj") == "250\n");
      EXPECT(read_at(AT_FDCWD, "/proc/1/oom_score_adj") != "250\n");
      struct stat kept, visible;
      EXPECT(fstat(bench.c.procfs, &kept) == 0);
      EXPECT(stat("/proc", &visible) == 0);
      EXPECT(kept.st_dev == visible.st_dev);
      return 0;
    });
  });
  CHECK(line == 0);
}

TEST_CASE("a /proc that is no procfs is not used") {
  if (!is_root()) return;
  const int line = in_child(CLONE_NEWNS | CLONE_NEWPID, [] {
    EXPECT(make_private());
    EXPECT(mount_fs("tmpfs", "/proc"));
    EXPECT(mkdir("/proc/1", 0755) == 0);
    write_file("/proc/1/oom_score_adj", "", 0666);
    EXPECT(symlink("1", "/proc/self") == 0);
    return in_child(CLONE_NEWUSER | CLONE_NEWNS, [] {
      Bench bench;
      bench.b.init("", plan::OomScoreAdj{250});
      bench.seal();
      EXPECT(bench.run() == -EPERM);
      EXPECT(read_at(AT_FDCWD, "/proc/1/oom_score_adj") == "");
      return 0;
    });
  });
  CHECK(line == 0);
}
