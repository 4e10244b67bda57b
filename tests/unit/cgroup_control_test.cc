#include <string>
#include <vector>

#include "runtime/cgroup/control.h"
#include "runtime/cgroup/watch.h"
#include "runtime/sys/event.h"
#include "spec/error.h"
#include "tests/unit/cgroup_tree.h"

using namespace coracle;
using cgroup::Cgroup;
using tests::FakeTree;
using tests::RealTree;

namespace {

std::string error_of(auto call) {
  try {
    call();
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("pids: sorted, each once, those of other pid namespaces left out") {
  FakeTree tree;
  tree.directory("c");
  tree.file("c/cgroup.procs", "30\n4\n0\n30\n");
  tree.directory("c/sub");
  tree.file("c/sub/cgroup.procs", "7\n");
  tree.directory("c/sub/sub");
  tree.file("c/sub/sub/cgroup.procs", "8");
  const Cgroup c = cgroup::open(tree.mount, "/c");
  CHECK(cgroup::pids(c, false) == std::vector<pid_t>{4, 30});
  CHECK(cgroup::pids(c, true) == std::vector<pid_t>{4, 7, 8, 30});
}

TEST_CASE("destroy: a missing cgroup is no error, the root never goes") {
  FakeTree tree;
  cgroup::destroy(tree.mount, "/none");
  CHECK_THROWS_AS(cgroup::destroy(tree.mount, "/"), spec::Error);
  tree.directory("c");
  cgroup::destroy(tree.mount, "/c");
  CHECK_FALSE(tree.exists("c"));
}

TEST_CASE("a cgroup that cannot be frozen is thawed again") {
  FakeTree tree;
  tree.directory("c");
  tree.file("c/cgroup.freeze");
  tree.file("c/cgroup.events", "populated 1\nfrozen 0\n");
  const Cgroup c = cgroup::open(tree.mount, "/c");
  CHECK(error_of([&] { cgroup::freeze(c, 0); }) ==
        "cannot freeze cgroup /c: a process in it does not stop");
  CHECK(tree.read("c/cgroup.freeze") == "0");
}

TEST_CASE("real: freeze and thaw") {
  RealTree tree;
  if (!tree) return;
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/f", {});
  const pid_t pid = tests::spawn(c, [] {
    for (;;) ::getppid();
  });
  REQUIRE(pid > 0);
  CHECK_FALSE(cgroup::is_frozen(c));
  cgroup::freeze(c);
  CHECK(cgroup::is_frozen(c));
  CHECK(error_of([&] { cgroup::make(tree.mount, c.path, {}); }) != "");
  cgroup::thaw(c);
  CHECK_FALSE(cgroup::is_frozen(c));
  cgroup::freeze(c);
  cgroup::kill_all(c);  // reaches frozen processes
  CHECK(tests::reap(pid) == SIGKILL);
  CHECK(cgroup::wait_empty(c, 5000));
}

TEST_CASE("real: wait_empty ends with the last process, or with its time") {
  RealTree tree;
  if (!tree) return;
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/w", {});
  const pid_t pid = tests::spawn(c, [] {
    ::usleep(50000);
    ::_exit(0);
  });
  REQUIRE(pid > 0);
  CHECK(cgroup::is_populated(c));
  CHECK_FALSE(cgroup::wait_empty(c, 0));
  const int64_t start = sys::monotonic_ms();
  CHECK(cgroup::wait_empty(c, 5000));
  CHECK(sys::monotonic_ms() - start < 4000);
  CHECK_FALSE(cgroup::is_populated(c));
  CHECK(tests::reap(pid) == 0);
}

TEST_CASE("real: destroy kills and removes whatever is below") {
  RealTree tree;
  if (!tree) return;
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/d", {});
  const Cgroup sub = cgroup::make(tree.mount, tree.top + "/d/s/t", {});
  cgroup::make(tree.mount, tree.top + "/d/s/u", {});
  cgroup::make(tree.mount, tree.top + "/d/v", {});
  // (The levels above have controllers passed on and hold no processes.)
  const pid_t one = tests::spawn(cgroup::open(tree.mount, tree.top + "/d/v"));
  const pid_t two = tests::spawn(sub);
  REQUIRE(one > 0);
  REQUIRE(two > 0);
  CHECK(cgroup::pids(c, true).size() == 2);
  cgroup::freeze(c);
  cgroup::destroy(tree.mount, c.path);
  CHECK_FALSE(cgroup::try_open(tree.mount, c.path).dir);
  CHECK(tests::reap(one) == SIGKILL);
  CHECK(tests::reap(two) == SIGKILL);
  // What is gone is gone: no complaint from any of them.
  cgroup::kill_all(c);
  CHECK(cgroup::wait_empty(c, 0));
  CHECK(cgroup::pids(c, true).empty());
  cgroup::destroy(tree.mount, c.path);
}

TEST_CASE("real: destroy does not run out of descriptors in a deep tree") {
  RealTree tree;
  if (!tree) return;
  constexpr int kDeep = 300;
  cgroup::make(tree.mount, tree.top + "/deep", {});
  sys::Fd at = sys::open_at(tree.mount, (tree.top.substr(1) + "/deep").c_str(), O_RDONLY);
  for (int i = 0; i < kDeep; ++i) {
    REQUIRE(sys::mkdir_at(at, "x", 0755) == 0);
    at = sys::open_at(at, "x", O_RDONLY | O_DIRECTORY);
  }
  at.reset();
  cgroup::destroy(tree.mount, tree.top + "/deep");
  CHECK_FALSE(cgroup::try_open(tree.mount, tree.top + "/deep").dir);
}

TEST_CASE("real: the watch tells the end") {
  RealTree tree;
  if (!tree) return;
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/o", {});
  const pid_t pid = tests::spawn(c);
  REQUIRE(pid > 0);
  cgroup::Watch watch(c);
  CHECK(watch.wait(0) == cgroup::Watch::Event::kTimeout);
  cgroup::kill_all(c);
  CHECK(watch.wait(5000) == cgroup::Watch::Event::kEmpty);
  CHECK(tests::reap(pid) == SIGKILL);
  cgroup::destroy(tree.mount, c.path);
  CHECK(watch.wait(0) == cgroup::Watch::Event::kEmpty);
}

TEST_CASE("the watch tells an OOM kill once, and before the end") {
  FakeTree tree;
  tree.directory("c");
  tree.file("c/cgroup.events", "populated 1\nfrozen 0\n");
  tree.file("c/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n");
  cgroup::Watch watch(cgroup::open(tree.mount, "/c"));
  tree.file("c/memory.events", "low 0\noom 3\noom_kill 3\noom_group_kill 0\n");
  tree.file("c/cgroup.events", "populated 0\nfrozen 0\n");
  CHECK(watch.wait(0) == cgroup::Watch::Event::kOom);
  CHECK(watch.wait(0) == cgroup::Watch::Event::kEmpty);
}
