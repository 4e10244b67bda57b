#include <doctest/doctest.h>

#include <string>

#include "runtime/cgroup/stats.h"
#include "tests/unit/cgroup_tree.h"

using namespace coracle;
using cgroup::Cgroup;

namespace {

void fill(tests::FakeTree& tree) {
  tree.directory("c");
  tree.file("c/cpu.stat",
            "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 3\n"
            "throttled_usec 2\n");
  tree.file("c/cpu.pressure",
            "some avg10=1.25 avg60=0.07 avg300=100.00 total=99\n"
            "full avg10=0.00 avg60=0.00 avg300=0.50 total=7\n");
  tree.file("c/cpuset.cpus.effective", "0-2,7\n");
  tree.file("c/cpuset.mems.effective", "0\n");
  tree.file("c/memory.stat", "anon 100\nfile 50\n");
  tree.file("c/memory.current", "150\n");
  tree.file("c/memory.max", "1000\n");
  tree.file("c/memory.peak", "200\n");
  tree.file("c/memory.events", "low 0\nmax 5\noom 1\n");
  tree.file("c/memory.swap.current", "10\n");
  tree.file("c/memory.swap.max", "max\n");
  tree.file("c/pids.current", "3\n");
  tree.file("c/pids.max", "max\n");
  tree.file("c/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n7:1\n");
  tree.file("c/hugetlb.2MB.current", "0\n");
  tree.file("c/hugetlb.2MB.rsvd.current", "2097152\n");
  tree.file("c/hugetlb.2MB.events", "max 6\n");
}

}  // namespace

TEST_CASE("all files") {
  tests::FakeTree tree;
  fill(tree);
  const cgroup::Stats s = cgroup::read_stats(cgroup::open(tree.mount, "/c"));
  CHECK(s.cpu_total == 30000);
  CHECK(s.throttled_time == 2000);
  CHECK(s.cpu_psi.known);
  CHECK(s.cpu_psi.some.avg10 == 125);
  CHECK(s.cpu_psi.some.avg60 == 7);
  CHECK(s.cpu_psi.some.avg300 == 10000);
  CHECK(s.cpu_psi.full.total == 7);
  CHECK_FALSE(s.memory_psi.known);
  CHECK(s.cpus == std::vector<uint16_t>{0, 1, 2, 7});
  CHECK(s.memory.limit == 1000);
  CHECK(s.memory.max == 200);
  CHECK(s.memory.failcnt == 5);
  CHECK(s.swap.usage == 160);
  CHECK(s.swap.limit == cgroup::kUnlimited);
  CHECK(s.pids_limit == 0);
  REQUIRE(s.io.size() == 1);
  CHECK(s.io[0].writes == 4);
  REQUIRE(s.hugetlb.size() == 1);
  CHECK(s.hugetlb[0].second.usage == 2097152);
}

TEST_CASE("the event on one line, as go-runc reads it") {
  tests::FakeTree tree;
  fill(tree);
  const cgroup::Stats s = cgroup::read_stats(cgroup::open(tree.mount, "/c"));
  CHECK(cgroup::stats_event("a\"b", s) ==
        R"({"type":"stats","id":"a\"b","data":{"cpu":{"usage":{"total":30000,"kernel":10000,)"
        R"("user":20000},"throttling":{"periods":4,"throttledPeriods":3,"throttledTime":2000},)"
        R"("psi":{"some":{"avg10":1.25,"avg60":0.07,"avg300":100.00,"total":99},)"
        R"("full":{"avg10":0.00,"avg60":0.00,"avg300":0.50,"total":7}}},)"
        R"("cpuset":{"cpus":[0,1,2,7],"mems":[0],"cpu_exclusive":0,"mem_hardwall":0,)"
        R"("mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,)"
        R"("memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},)"
        R"("memory":{"cache":50,"usage":{"limit":1000,"usage":150,"max":200,"failcnt":5},)"
        R"("swap":{"limit":18446744073709551615,"usage":160,"max":0,"failcnt":0},)"
        R"("kernel":{"limit":0,"usage":0,"max":0,"failcnt":0},)"
        R"("kernelTCP":{"limit":0,"usage":0,"max":0,"failcnt":0},)"
        R"("raw":{"anon":100,"file":50}},"pids":{"current":3},)"
        R"("blkio":{"ioServiceBytesRecursive":[{"major":8,"minor":0,"op":"Read","value":1},)"
        R"({"major":8,"minor":0,"op":"Write","value":2}],)"
        R"("ioServicedRecursive":[{"major":8,"minor":0,"op":"Read","value":3},)"
        R"({"major":8,"minor":0,"op":"Write","value":4}]},)"
        R"("hugetlb":{"2MB":{"usage":2097152,"max":0,"failcnt":6}},"intel_rdt":{},)"
        R"("network_interfaces":null}})");
}

TEST_CASE("no controllers: zeros, and no part is left out") {
  tests::FakeTree tree;
  tree.directory("c");
  const cgroup::Stats s = cgroup::read_stats(cgroup::open(tree.mount, "/c"));
  CHECK(s.memory.usage == 0);
  const std::string event = cgroup::stats_event("id", s);
  for (const char* key : {"\"cpu\":{", "\"memory\":{", "\"pids\":{", "\"blkio\":{}",
                          "\"hugetlb\":{}", "\"cpuset\":{"}) {
    INFO(key);
    CHECK(event.find(key) != std::string::npos);
  }
  CHECK(cgroup::oom_event("id") == R"({"type":"oom","id":"id"})");
}

TEST_CASE("real: a cgroup of this kernel") {
  tests::RealTree tree;
  if (!tree) return;
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/s", {});
  const pid_t pid = tests::spawn(c, [] {
    for (int i = 0; i < 100000; ++i) ::getppid();
    ::_exit(0);
  });
  REQUIRE(pid > 0);
  CHECK(tests::reap(pid) == 0);
  const cgroup::Stats s = cgroup::read_stats(c);
  CHECK(s.cpu_total > 0);
  CHECK(s.cpu_total < 60000000000);
}
