#include <doctest/doctest.h>
#include <sys/prctl.h>

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

TEST_CASE("oom_score_adj is written before anything is joined, by a process that is hidden again") {
  if (!is_root()) return;
  const int line = in_child(CLONE_NEWPID | CLONE_NEWNS, [] {
    EXPECT(mount_fs("proc", "/proc"));
    Bench bench;
    bench.b.init("", plan::OomScoreAdj{321});
    bench.b.init("", plan::OomScoreAdj{1001});
    bench.seal();
    EXPECT(bench.run(0) == 0);
    EXPECT(read_at(AT_FDCWD, "/proc/self/oom_score_adj") == "321\n");
    EXPECT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    EXPECT(bench.run(1) == -EINVAL);
    EXPECT(bench.c.call == Call::k_write);
    return 0;
  });
  CHECK(line == 0);
}

TEST_CASE("a procfs is kept from before the joins; an ordinary user's is the host's own") {
  if (!is_root()) return;
  const int line = in_child(CLONE_NEWNS | CLONE_NEWPID, [] {
    EXPECT(make_private());
    EXPECT(mount_fs("proc", "/proc"));
    EXPECT(mount_fs("tmpfs", "/proc/sys"));  // so that a user namespace gets no new one
    return in_child(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID, [] {
      Bench bench;
      bench.b.init("", plan::OpenProcfs{});
      bench.seal();
      EXPECT(bench.run() == 0);
      struct stat kept, visible;
      EXPECT(fstat(bench.c.procfs, &kept) == 0);
      EXPECT(stat("/proc", &visible) == 0);
      EXPECT(kept.st_dev == visible.st_dev);
      return 0;
    });
  });
  CHECK(line == 0);
}

TEST_CASE("a /proc that is not a procfs is not used") {
  if (!is_root()) return;
  const int line = in_child(CLONE_NEWNS | CLONE_NEWPID, [] {
    EXPECT(make_private());
    EXPECT(mount_fs("tmpfs", "/proc"));
    return in_child(CLONE_NEWUSER | CLONE_NEWNS, [] {
      Bench bench;
      bench.b.init("", plan::OpenProcfs{});
      bench.seal();
      EXPECT(bench.run() == -EPERM);
      return 0;
    });
  });
  CHECK(line == 0);
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
