// Making, limiting and equipping a cgroup: what can be seen with plain files, and what takes a
// kernel.
#include <string>
#include <vector>

#include "runtime/cgroup/fs.h"
#include "runtime/plan/devices_bpf.h"
#include "runtime/plan/format.h"
#include "runtime/sys/bpf.h"
#include "spec/error.h"
#include "tests/unit/cgroup_tree.h"

using namespace coracle;
using cgroup::Cgroup;
using tests::FakeTree;
using tests::RealTree;

namespace {

Cgroup fake(FakeTree& tree) {
  tree.directory("c");
  return cgroup::open(tree.mount, "/c");
}

std::string error_of(auto call) {
  try {
    call();
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("make: only what is missing, and undo takes only that away") {
  FakeTree tree;
  tree.directory("a");
  const Cgroup made = cgroup::make(tree.mount, "/a/b/c", {});
  CHECK(made.path == "/a/b/c");
  CHECK(made.found == 2);
  CHECK(made.is_new());
  CHECK(tree.exists("a/b/c"));
  cgroup::undo_make(tree.mount, made);
  CHECK_FALSE(tree.exists("a/b"));
  CHECK(tree.exists("a"));
}

TEST_CASE("undo stops at a level that someone else uses by now") {
  FakeTree tree;
  const Cgroup made = cgroup::make(tree.mount, "/a/b/c", {});
  CHECK(made.found == 0);
  tree.directory("a/other");
  cgroup::undo_make(tree.mount, made);
  CHECK_FALSE(tree.exists("a/b"));
  CHECK(tree.exists("a/other"));
}

TEST_CASE("make: a level that cannot be made leaves nothing behind") {
  FakeTree tree;
  tree.directory("a");
  tree.file("a/file");
  const std::string error = error_of([&] { cgroup::make(tree.mount, "/a/file/c", {}); });
  CHECK(error == "cannot make cgroup /a/file/c: Not a directory (ENOTDIR)");
  const std::string long_name(300, 'x');
  CHECK(error_of([&] { cgroup::make(tree.mount, "/n/m/" + long_name, {}); }) != "");
  CHECK_FALSE(tree.exists("n"));
}

TEST_CASE("make: an existing cgroup has to be empty and thawed") {
  FakeTree tree;
  tree.directory("c");
  tree.file("c/cgroup.events", "populated 0\nfrozen 0\n");
  CHECK_FALSE(cgroup::make(tree.mount, "/c", {}).is_new());
  tree.file("c/cgroup.events", "populated 0\nfrozen 1\n");
  CHECK(error_of([&] { cgroup::make(tree.mount, "/c", {}); }) ==
        "container's cgroup unexpectedly frozen: /c");
  tree.file("c/cgroup.events", "populated 1\nfrozen 0\n");
  tree.file("c/cgroup.procs", "7\n8\n");
  CHECK(error_of([&] { cgroup::make(tree.mount, "/c", {}); }) ==
        "container's cgroup is not empty: 2 process(es) found in /c");
  CHECK(tree.exists("c"));
}

TEST_CASE("what somebody else makes has to be missing, or empty and thawed") {
  FakeTree tree;
  cgroup::check_unused(tree.mount, "/c");
  cgroup::check_unused(tree.mount, "/a/c");
  CHECK_FALSE(tree.exists("c"));
  tree.directory("c");
  tree.file("c/cgroup.events", "populated 0\nfrozen 0\n");
  cgroup::check_unused(tree.mount, "/c");
  tree.file("c/cgroup.events", "populated 0\nfrozen 1\n");
  CHECK(error_of([&] { cgroup::check_unused(tree.mount, "/c"); }) ==
        "container's cgroup unexpectedly frozen: /c");
  tree.file("c/cgroup.events", "populated 1\nfrozen 0\n");
  tree.file("c/cgroup.procs", "7\n");
  CHECK(error_of([&] { cgroup::check_unused(tree.mount, "/c"); }) ==
        "container's cgroup is not empty: 1 process(es) found in /c");
  tree.file("file");
  CHECK(error_of([&] { cgroup::check_unused(tree.mount, "/file/c"); }) ==
        "cannot open cgroup /file/c: Not a directory (ENOTDIR)");
}

TEST_CASE("controllers that are there already cost one read") {
  FakeTree tree;
  tree.directory("c");
  tree.file("c/cgroup.events", "populated 0\nfrozen 0\n");
  tree.file("c/cgroup.controllers", "cpu memory\n");
  tree.file("cgroup.controllers", "cpu memory\n");
  tree.file("cgroup.subtree_control");
  cgroup::make(tree.mount, "/c", {"memory"});
  CHECK(tree.read("cgroup.subtree_control") == "");
}

TEST_CASE("controllers are passed on from above, all of them") {
  FakeTree tree;
  tree.directory("a");
  tree.directory("a/c");
  tree.file("a/c/cgroup.events", "populated 0\nfrozen 0\n");
  tree.file("a/c/cgroup.controllers", "cpu\n");
  tree.file("a/c/cgroup.type", "domain\n");
  tree.file("a/cgroup.type", "domain\n");
  tree.file("cgroup.controllers", "cpu memory\n");
  tree.file("cgroup.subtree_control");
  tree.file("a/cgroup.controllers", "cpu\n");
  tree.file("a/cgroup.subtree_control");
  const std::string error = error_of([&] { cgroup::make(tree.mount, "/a/c", {"cpu", "memory"}); });
  CHECK(tree.read("cgroup.subtree_control") == "+cpu +memory");
  CHECK(tree.read("a/cgroup.subtree_control") == "+cpu");
  CHECK(error ==
        "cannot enable controller \"memory\" for cgroup /a/c: nothing above it offers "
        "this controller");
}

TEST_CASE("settle_type: below a threaded cgroup") {
  FakeTree tree;
  tree.directory("a");
  tree.directory("a/c");
  tree.file("a/cgroup.type", "threaded\n");
  tree.file("a/c/cgroup.type", "domain invalid\n");
  const Cgroup c = cgroup::open(tree.mount, "/a/c");
  CHECK(error_of([&] { cgroup::settle_type(tree.mount, c, {"memory"}); }) ==
        "cgroup /a is \"threaded\": controllers of whole processes cannot be used there");
  cgroup::settle_type(tree.mount, c, {"cpu", "pids"});
  // write(2) does not truncate a plain file.
  CHECK(tree.read("a/c/cgroup.type").substr(0, 8) == "threaded");
}

TEST_CASE("write_limit") {
  FakeTree tree;
  const Cgroup c = fake(tree);
  tree.file("c/memory.max");
  cgroup::write_limit(c, "memory.max", "1000", 0);
  CHECK(tree.read("c/memory.max") == "1000");

  cgroup::write_limit(c, "memory.swap.max", "0", plan::kCgroupIgnoreMissing);
  CHECK_FALSE(tree.exists("c/memory.swap.max"));
  CHECK(error_of([&] { cgroup::write_limit(c, "memory.swap.max", "0", 0); }) ==
        "cgroup /c has no file memory.swap.max");

  tree.file("c/io.weight");
  cgroup::write_limit(c, "io.bfq.weight\nio.weight", "500\n4950", plan::kCgroupFirstFile);
  CHECK(tree.read("c/io.weight") == "4950");
  tree.file("c/io.bfq.weight");
  tree.file("c/io.weight");
  cgroup::write_limit(c, "io.bfq.weight\nio.weight", "500\n4950", plan::kCgroupFirstFile);
  CHECK(tree.read("c/io.bfq.weight") == "500");
  CHECK(tree.read("c/io.weight") == "");

  // Each line by a write of its own: in a plain file the second falls on the first.
  tree.file("c/io.max");
  cgroup::write_limit(c, "io.max", "aaaa\nbb", plan::kCgroupPerLine);
  CHECK(tree.read("c/io.max") == "bbaa");
}

TEST_CASE("checkBeforeUpdate") {
  FakeTree tree;
  const Cgroup c = fake(tree);
  spec::LinuxMemory memory;
  memory.limit = 1000;
  memory.checkBeforeUpdate = true;
  cgroup::check_memory(c, memory);
  tree.file("c/memory.current", "1000\n");
  CHECK(error_of([&] { cgroup::check_memory(c, memory); }) ==
        "linux.resources.memory.limit: rejecting memory limit 1000 <= usage 1000");
  memory.swap = 1000;
  CHECK(error_of([&] { cgroup::check_memory(c, memory); }) ==
        "linux.resources.memory.swap: rejecting memory+swap limit 1000 <= usage 1000");
  memory.checkBeforeUpdate = false;
  cgroup::check_memory(c, memory);
  memory.checkBeforeUpdate = true;
  memory.limit = memory.swap = 1001;
  cgroup::check_memory(c, memory);
}

TEST_CASE("open_sub stays inside") {
  FakeTree tree;
  const Cgroup c = fake(tree);
  tree.directory("c/sub");
  tree.directory("outside");
  CHECK(cgroup::open_sub(c, "/").path == "/c");
  CHECK(cgroup::open_sub(c, "sub").path == "/c/sub");
  CHECK_THROWS_AS(cgroup::open_sub(c, "../outside"), spec::Error);
  CHECK(error_of([&] { cgroup::open_sub(c, "none"); }) ==
        "cannot open cgroup /c/none: No such file or directory (ENOENT)");
  REQUIRE(::symlinkat("../outside", c.dir.get(), "link") == 0);
  CHECK_THROWS_AS(cgroup::open_sub(c, "link"), spec::Error);
}

// ---- with a kernel ---------------------------------------------------------------------------

TEST_CASE("real: a process is born in a cgroup made for it, and a second make refuses it") {
  RealTree tree;
  if (!tree) return;
  const std::string path = tree.top + "/x/y";
  const Cgroup c = cgroup::make(tree.mount, path, {});
  CHECK(c.found == tree.top.size());
  const pid_t pid = tests::spawn(c);
  REQUIRE(pid > 0);
  CHECK(cgroup::pids(c, false) == std::vector<pid_t>{pid});
  CHECK(error_of([&] {
          cgroup::make(tree.mount, path, {});
        }).find("container's cgroup is not empty: 1 process(es)") == 0);
  cgroup::kill_all(c);
  CHECK(tests::reap(pid) == SIGKILL);
}

TEST_CASE("real: a controller and a limit") {
  RealTree tree;
  if (!tree) return;
  std::string name;
  for (const std::string& controller : cgroup::available_controllers(tree.mount)) {
    if (controller == "hugetlb" || controller == "pids") name = controller;
  }
  if (name.empty()) {
    MESSAGE("skipped: neither hugetlb nor pids on cgroup v2 here");
    return;
  }
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/a/b", {name});
  const std::string file = name == "pids" ? "pids.max" : "hugetlb.2MB.max";
  cgroup::write_limit(c, file, "4194304", 0);
  std::string text;
  REQUIRE(sys::read_file(c.dir, file.c_str(), text) == 0);
  CHECK(text == "4194304\n");
  CHECK(error_of([&] { cgroup::write_limit(c, file, "nonsense", 0); }) ==
        "cannot write \"nonsense\" to " + file + " of cgroup " + c.path +
            ": Invalid argument (EINVAL)");
  cgroup::write_limit(c, file, "nonsense", plan::kCgroupIgnoreInvalid);
  // Levels that we make have all there is.
  CHECK(error_of([&] {
          cgroup::make(tree.mount, tree.top + "/n/m", {"no-such"});
        }).find("nothing above it offers") != std::string::npos);
  CHECK_FALSE(sys::open_at(tree.mount, (tree.top.substr(1) + "/n").c_str(), O_PATH));
}

TEST_CASE("real: a level with processes cannot pass controllers on") {
  RealTree tree;
  if (!tree) return;
  const auto have = cgroup::available_controllers(tree.mount);
  if (have.empty()) {
    MESSAGE("skipped: no controllers on cgroup v2 here");
    return;
  }
  const Cgroup parent = cgroup::make(tree.mount, tree.top + "/busy", {have[0]});
  const pid_t pid = tests::spawn(parent);
  REQUIRE(pid > 0);
  const std::string error =
      error_of([&] { cgroup::make(tree.mount, tree.top + "/busy/c", {have[0]}); });
  CHECK(error.find("cgroup.subtree_control: Device or resource busy") != std::string::npos);
  // Without controllers it is a place like any other.
  CHECK(cgroup::make(tree.mount, tree.top + "/busy/c", {}).is_new());
  cgroup::kill_all(parent);
  CHECK(tests::reap(pid) == SIGKILL);
}

TEST_CASE("real: below a threaded cgroup clone works after settle_type") {
  RealTree tree;
  if (!tree) return;
  const std::string top = tree.top.substr(1);
  REQUIRE(sys::mkdir_at(tree.mount, (top + "/t").c_str(), 0755) == 0);
  REQUIRE(sys::write_attribute(tree.mount, (top + "/t/cgroup.type").c_str(), "threaded") == 0);
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/t/c", {});
  CHECK(tests::spawn(c) == -1);
  CHECK(errno == EOPNOTSUPP);
  cgroup::settle_type(tree.mount, c, {});
  const pid_t pid = tests::spawn(c);
  CHECK(pid > 0);
  CHECK(cgroup::pids(c, true) == std::vector<pid_t>{pid});
  // destroy (by the tree) has to do without cgroup.kill.
  cgroup::destroy(tree.mount, tree.top + "/t");
  CHECK(tests::reap(pid) == SIGKILL);
}

namespace {

// 0, or the errno of opening a node of that device.
int open_device(const Cgroup& c, const char* node) {
  const pid_t pid = tests::spawn(c, [&] { ::_exit(::open(node, O_RDONLY) < 0 ? errno : 0); });
  if (pid < 0) return -1;
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("real: device rules are enforced, and replaced in a cgroup that was there before") {
  RealTree tree;
  if (!tree) return;
  const auto program = plan::device_program({});
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/dev", {});
  CHECK(open_device(c, "/dev/kmsg") == 0);
  cgroup::attach_devices(c, program.data(), program.size());
  CHECK(open_device(c, "/dev/kmsg") == EPERM);
  CHECK(open_device(c, "/dev/null") == 0);
  CHECK(sys::count_device_programs(c.dir) == 1);

  spec::LinuxDeviceCgroup kmsg;
  kmsg.allow = true;
  kmsg.type = "c";
  kmsg.major = 1;
  kmsg.minor = 11;
  kmsg.access = "r";
  const auto wider = plan::device_program({kmsg});
  const Cgroup again = cgroup::make(tree.mount, tree.top + "/dev", {});
  CHECK_FALSE(again.is_new());
  cgroup::attach_devices(again, wider.data(), wider.size());
  CHECK(sys::count_device_programs(again.dir) == 1);
  CHECK(open_device(again, "/dev/kmsg") == 0);
}

TEST_CASE("real: the verifier takes programs of all shapes") {
  RealTree tree;
  if (!tree) return;
  static const char* const kAccess[] = {"r", "w", "m", "rw", "rwm"};
  static const char* const kTypes[] = {"a", "b", "c"};
  unsigned seed = 42;
  auto pick = [&](unsigned n) { return (seed = seed * 1103515245 + 12345) / 65536 % n; };
  for (int round = 0; round < 150; ++round) {
    std::vector<spec::LinuxDeviceCgroup> rules(pick(10));
    for (auto& rule : rules) {
      rule.allow = pick(2) == 0;
      rule.type = kTypes[pick(3)];
      rule.access = kAccess[pick(5)];
      if (pick(3) != 0) rule.major = static_cast<int64_t>(pick(3));
      if (pick(3) != 0) rule.minor = static_cast<int64_t>(pick(3));
    }
    const auto program = plan::device_program(rules);
    if (program.empty()) continue;
    const sys::Fd loaded = sys::load_device_program(program.data(), program.size());
    INFO("round ", round, ", errno ", loaded.error());
    CHECK(loaded);
    if (!loaded) break;
  }
}

TEST_CASE("real: delegation") {
  RealTree tree;
  if (!tree) return;
  const Cgroup c = cgroup::make(tree.mount, tree.top + "/mine", {});
  cgroup::delegate(c, 12345, UINT32_MAX);
  for (const char* name : {".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}) {
    struct stat st = {};
    REQUIRE(::fstatat(c.dir.get(), name, &st, 0) == 0);
    INFO(name);
    CHECK(st.st_uid == 12345);
    CHECK(st.st_gid == 0);
  }
  struct stat st = {};
  REQUIRE(::fstatat(c.dir.get(), "cgroup.freeze", &st, 0) == 0);
  CHECK(st.st_uid == 0);
}
