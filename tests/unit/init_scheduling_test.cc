#include <doctest/doctest.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

TEST_CASE("rlimit") {
  {
    const int line = in_child(0, [] {
      EXPECT(run_one(plan::Rlimit{64, 128, RLIMIT_NOFILE}) == 0);
      rlimit limit;
      EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
      EXPECT(limit.rlim_cur == 64);
      EXPECT(limit.rlim_max == 128);
      EXPECT(run_one(plan::Rlimit{129, 128, RLIMIT_NOFILE}) == -EINVAL);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("scheduler, I/O priority, personality") {
  {
    const int line = in_child(0, [] {
      plan::Scheduler batch{};
      batch.policy = SCHED_BATCH;
      batch.nice = 7;
      EXPECT(run_one(batch) == 0);
      EXPECT(sched_getscheduler(0) == SCHED_BATCH);
      EXPECT(getpriority(PRIO_PROCESS, 0) == 7);
      batch.policy = 99;
      EXPECT(run_one(batch) == -EINVAL);
      EXPECT(run_one(plan::IoPriority{2 << 13 | 6}) == 0);
      EXPECT(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6));
      EXPECT(run_one(plan::Personality{PER_LINUX32}) == 0);
      EXPECT((personality(0xffffffff) & PER_MASK) == PER_LINUX32);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("memory policy") {
  {
    const int line = in_child(0, [] {
      Bench bench;
      const uint64_t node0 = 1, far = uint64_t{1} << 63;
      bench.b.init("", plan::MemoryPolicy{2 /* MPOL_BIND */, bench.b.list(&node0, 1)});
      bench.b.init("", plan::MemoryPolicy{0, {}});
      bench.b.init("", plan::MemoryPolicy{2, bench.b.list(&far, 1)});
      bench.seal();
      const long r = bench.run(0);
      if (r == -ENOSYS) return 0;  // a kernel without NUMA
      EXPECT(r == 0);
      int mode = -1;
      uint64_t nodes[16] = {};
      EXPECT(syscall(SYS_get_mempolicy, &mode, nodes, sizeof(nodes) * 8, nullptr, 0) == 0);
      EXPECT(mode == 2);
      EXPECT(nodes[0] == 1);
      EXPECT(bench.run(1) == 0);
      EXPECT(syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0) == 0);
      EXPECT(mode == 0);
      EXPECT(bench.run(2) == -EINVAL);  // node 63 is looked at, not cut off
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("CPU affinity: a list wider than the machine, and back to all CPUs") {
  {
    const int line = in_child(0, [] {
      cpu_set_t before, now;
      EXPECT(sched_getaffinity(0, sizeof(before), &before) == 0);
      Bench bench;
      std::vector<uint64_t> words(256, 0);  // 16384 CPUs
      words[0] = 1;
      bench.b.init("", plan::CpuAffinity{bench.b.list(words)});
      bench.b.init("", plan::CpuAffinity{});
      bench.seal();
      EXPECT(bench.run(0) == 0);
      EXPECT(sched_getaffinity(0, sizeof(now), &now) == 0);
      EXPECT(CPU_COUNT(&now) == 1);
      EXPECT(bench.run(1) == 0);
      EXPECT(sched_getaffinity(0, sizeof(now), &now) == 0);
      EXPECT(CPU_COUNT(&now) >= CPU_COUNT(&before));
      return 0;
    });
    CHECK(line == 0);
  }
}
