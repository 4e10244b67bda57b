#include <doctest/doctest.h>

#include "runtime/cgroup/update.h"
#include "spec/error.h"
#include "spec/text.h"
#include "tests/unit/cgroup_tree.h"

using namespace coracle;
using cgroup::Cgroup;

namespace {

struct Fixture {
  Fixture() {
    tree.file("cgroup.controllers", "cpu memory\n");
    tree.directory("c");
    tree.file("c/cgroup.controllers", "cpu memory\n");
    tree.file("c/cpu.max", "20000 50000\n");
    tree.file("c/memory.max", "1000\n");
    tree.file("c/memory.swap.max");
    cgroup = cgroup::open(tree.mount, "/c");
  }
  void update(const spec::LinuxResources& r) {
    cgroup::update(tree.mount, cgroup, cgroup::update_writes(tree.mount, cgroup, r, warnings));
  }
  tests::FakeTree tree;
  Cgroup cgroup;
  plan::Warnings warnings;
};

}  // namespace

TEST_CASE("quota and period each keep the other") {
  Fixture f;
  spec::LinuxResources r;
  r.cpu.emplace();
  r.cpu->period = 10000;
  CHECK(cgroup::complete(f.cgroup, r).cpu->quota == 20000);
  r.cpu->period.reset();
  r.cpu->quota = 7000;
  CHECK(cgroup::complete(f.cgroup, r).cpu->period == 50000);
  f.tree.file("c/cpu.max", "max 100000\n");
  r.cpu->quota.reset();
  r.cpu->period = 10000;
  CHECK(cgroup::complete(f.cgroup, r).cpu->quota == -1);
  r.cpu->period.reset();
  CHECK_FALSE(cgroup::complete(f.cgroup, r).cpu->quota);
}

TEST_CASE("a swap limit alone goes with the present memory limit") {
  Fixture f;
  spec::LinuxResources r;
  r.memory.emplace();
  r.memory->swap = 3000;
  f.update(r);
  CHECK(f.tree.read("c/memory.swap.max") == "2000");
  f.tree.file("c/memory.max", "max\n");
  CHECK_THROWS_WITH(f.update(r),
                    "linux.resources.memory.swap: unable to set swap limit without memory limit");
}

TEST_CASE("a swap limit of 0 leaves the present one") {
  Fixture f;
  f.tree.file("c/memory.swap.max", "2000");
  spec::LinuxResources r;
  r.memory.emplace();
  r.memory->swap = 0;
  f.update(r);
  CHECK(f.tree.read("c/memory.swap.max") == "2000");
}

TEST_CASE("a limit below what is in use is refused when asked, before anything is written") {
  Fixture f;
  f.tree.file("c/memory.current", "5000\n");
  spec::LinuxResources r;
  r.memory.emplace();
  r.memory->limit = 4000;
  r.memory->checkBeforeUpdate = true;
  CHECK_THROWS_WITH(f.update(r),
                    "linux.resources.memory.limit: rejecting memory limit 4000 <= usage 5000");
  CHECK(f.tree.read("c/memory.max") == "1000\n");
  r.memory->checkBeforeUpdate.reset();
  f.update(r);
  CHECK(f.tree.read("c/memory.max") == "4000\n");
}

TEST_CASE("what is idle no more has the weight that the kernel gives it, for systemd to know") {
  Fixture f;
  const auto writes = [&](const spec::LinuxResources& r) {
    std::string out;
    for (const auto& write : cgroup::update_writes(f.tree.mount, f.cgroup, r, f.warnings))
      out += spec::cat(write.file, "=", write.value, " ", write.origin, "\n");
    return out;
  };
  spec::LinuxResources r;
  r.cpu.emplace();
  r.cpu->idle = 0;
  const std::string by_cpu = "cpu.idle=0 linux.resources.cpu.idle\n";
  CHECK(writes(r) == by_cpu);  // an old kernel without the file
  f.tree.file("c/cpu.idle", "0\n");
  CHECK(writes(r) == by_cpu);
  f.tree.file("c/cpu.idle", "1\n");
  CHECK(writes(r) == by_cpu + "cpu.weight=100 linux.resources.cpu.idle\n");
  r.cpu->shares = 100;
  CHECK(writes(r) == by_cpu + "cpu.weight=17 linux.resources.cpu.shares\n");
  r.cpu->shares.reset();
  r.cpu->idle = 1;
  CHECK(writes(r) == "cpu.idle=1 linux.resources.cpu.idle\n");
  r.cpu.reset();
  const std::string by_name = "linux.resources.unified[\"cpu.idle\"]\n";
  r.unified = {{"cpu.idle", "0"}};
  CHECK(writes(r) == "cpu.idle=0 " + by_name + "cpu.weight=100 " + by_name);
}

TEST_CASE("real: a controller that create did not need is enabled") {
  tests::RealTree tree;
  if (!tree) return;
  bool hugetlb = false;
  for (const auto& name : cgroup::available_controllers(tree.mount)) hugetlb |= name == "hugetlb";
  if (!hugetlb) {
    MESSAGE("skipped: no hugetlb on cgroup v2 here");
    return;
  }
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/c", {});
  CHECK_FALSE(sys::open_at(c.dir, "hugetlb.2MB.max", O_RDONLY));
  const pid_t pid = tests::spawn(c);
  REQUIRE(pid > 0);
  spec::LinuxResources r;
  r.hugepageLimits.push_back({"2MB", 2097152});
  plan::Warnings warnings;
  cgroup::update(tree.mount, c, cgroup::update_writes(tree.mount, c, r, warnings));
  std::string text;
  REQUIRE(sys::read_file(c.dir, "hugetlb.2MB.max", text) == 0);
  CHECK(text == "2097152\n");
  cgroup::kill_all(c);
  CHECK(tests::reap(pid) == SIGKILL);
}
