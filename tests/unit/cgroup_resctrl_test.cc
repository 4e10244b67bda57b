// resctrl groups, in a directory of plain files.
#include <doctest/doctest.h>

#include "runtime/cgroup/resctrl.h"
#include "spec/error.h"
#include "tests/unit/cgroup_tree.h"

using namespace coracle;
using namespace coracle::cgroup;

namespace {

struct Resctrl {
  Resctrl() {
    tree.directory("info");
    tree.file("info/last_cmd_status", "ok\n");
    tree.file("tasks");
    tree.file("schemata", "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n");
    tree.directory("g");
    tree.file("g/tasks");
    tree.file("g/schemata", "    MB:0= 20;1= 70\n    L3:0=07f;1=01f\n");
    tree.directory("g/mon_groups");
    root = "/proc/self/fd/" + std::to_string(tree.mount.get());
  }
  tests::FakeTree tree;
  std::string root;
};

template <class Function>
std::string words(Function&& function) {
  try {
    function();
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("resctrl: where it is mounted, by mountinfo") {
  CHECK(resctrl_in("") == "");
  CHECK(resctrl_in("1 2 0:3 / /sys rw - sysfs sysfs rw\n") == "");
  CHECK(resctrl_in("1 2 0:3 / / rw - ext4 /dev/sda rw\n"
                   "25 30 0:23 / /sys/fs/resctrl rw,relatime shared:9 - resctrl resctrl rw\n") ==
        "/sys/fs/resctrl");
  CHECK(resctrl_in("25 30 0:23 / /my\\040rdt rw - resctrl none rw") == "/my rdt");
  CHECK(resctrl_in("25 30 0:23 / /resctrl rw - tmpfs resctrl rw\n") == "");
}

TEST_CASE("resctrl: a group is made once, and is a group") {
  Resctrl r;
  CHECK(make_resctrl_group(r.root + "/new"));
  CHECK(r.tree.exists("new"));
  r.tree.file("new/tasks");
  CHECK_FALSE(make_resctrl_group(r.root + "/new"));
  CHECK_FALSE(make_resctrl_group(r.root));  // the default group
  CHECK(has(words([&] { make_resctrl_group(r.root + "/info"); }), "is not a resctrl group"));
  CHECK(has(words([&] { require_resctrl_group(r.root + "/no"); }), "does not exist"));
  CHECK(words([&] { require_resctrl_group(r.root + "/g"); }).empty());
}

TEST_CASE("resctrl: a monitoring group must be new") {
  Resctrl r;
  make_resctrl_monitor(r.root + "/g/mon_groups/c");
  CHECK(has(words([&] { make_resctrl_monitor(r.root + "/g/mon_groups/c"); }), "File exists"));
}

TEST_CASE("resctrl: the kernel's reason is told, at every depth") {
  Resctrl r;
  r.tree.file("info/last_cmd_status", "Out of CLOSIDs\n");
  CHECK(has(words([&] { write_schemata(r.root + "/none", {"L3:0=1"}); }),
            "\"L3:0=1\" (last_cmd_status: Out of CLOSIDs): No such file"));
  CHECK(has(words([&] { make_resctrl_monitor(r.root + "/g/none/c"); }), "Out of CLOSIDs"));
  CHECK(has(words([&] { add_resctrl_task(r.root + "/mon_groups/x", 7); }), "process 7 (last"));
  r.tree.file("info/last_cmd_status", "ok\n");
  CHECK_FALSE(has(words([&] { add_resctrl_task(r.root + "/x", 7); }), "last_cmd_status"));
}

TEST_CASE("resctrl: what is written") {
  Resctrl r;
  write_schemata(r.root + "/g", {});
  CHECK(r.tree.read("g/schemata") == "    MB:0= 20;1= 70\n    L3:0=07f;1=01f\n");
  r.tree.file("g/schemata");
  write_schemata(r.root + "/g", {"L3:0=7f0;1=1f", "L2:0=f"});
  CHECK(r.tree.read("g/schemata") == "L3:0=7f0;1=1f\nL2:0=f\n");
  add_resctrl_task(r.root + "/g", 4711);
  CHECK(r.tree.read("g/tasks") == "4711");
}

TEST_CASE("resctrl: limits of a group that exists are compared as numbers") {
  Resctrl r;
  const auto differs = [&](std::string_view line) {
    return words([&] { check_schemata(r.root + "/g", {line}); });
  };
  for (const char* same : {"L3:0=7f;1=1f", "L3:1=01f", "L3:0=07F", "MB:0=20;1=70", "MB:1=70",
                           "L3: 0=7f ; 1=1f", "L3:"})
    CHECK(differs(same) == "");
  for (const char* other : {"L3:0=7e", "L3:0=7f;1=7f", "MB:0=21", "L3:2=7f", "L3:0=x"})
    CHECK(has(differs(other), "exists with other limits"));
  CHECK(has(differs("L2:0=f"), "no limits of \"L2\""));
  for (const char* bad : {"L3", "L3:0", "L3:x=1", "L3:=1"}) CHECK(has(differs(bad), "malformed"));
  CHECK(has(words([&] { check_schemata(r.root + "/no", {"L3:0=1"}); }), "/no/schemata: No such"));
  check_schemata(r.root + "/no", {});
}

TEST_CASE("resctrl: bandwidth counts as the hardware rounds it") {
  Resctrl r;
  CHECK(words([&] { check_schemata(r.root + "/g", {"MB:0=11"}); }) != "");
  r.tree.directory("info/MB");
  r.tree.file("info/MB/bandwidth_gran", "10\n");
  check_schemata(r.root + "/g", {"MB:0=11;1=70"});
  CHECK(words([&] { check_schemata(r.root + "/g", {"MB:0=10"}); }) != "");
  CHECK(words([&] { check_schemata(r.root + "/g", {"MB:0=21"}); }) != "");
}

TEST_CASE("resctrl: removing, also what is gone") {
  Resctrl r;
  CHECK(make_resctrl_group(r.root + "/new"));
  remove_resctrl_group(r.root + "/new");
  CHECK_FALSE(r.tree.exists("new"));
  remove_resctrl_group(r.root + "/new");
  CHECK(has(words([&] { remove_resctrl_group(r.root + "/g"); }), "remove resctrl group"));
}
