// linux.intelRdt from the plan to the files of a resctrl tree and to the record. A directory made
// in this tree stays empty, so a new group fails at its first file: what was on record by then
// counts.
#include <doctest/doctest.h>

#include "runtime/engine/intel_rdt.h"
#include "runtime/plan/plan.h"
#include "spec/error.h"
#include "tests/unit/cgroup_tree.h"
#include "tests/unit/temporary_directory.h"

using namespace coracle;
using plan::IntelRdt;

namespace {

struct Bench {
  explicit Bench(const char* id = "c1")
      : container(store::Container::create_new(state.path(), id)) {
    tree.directory("mon_groups");
    for (const char* folder : {"shared", "c1"}) {
      tree.directory(folder);
      tree.directory((std::string(folder) + "/mon_groups").c_str());
      tree.file((std::string(folder) + "/tasks").c_str());
      tree.file((std::string(folder) + "/schemata").c_str(), "L3:0=0ff\nMB:0=100\n");
    }
    tree.file("tasks");
    tree.file("schemata", "L3:0=7ff\n");
    root = "/proc/self/fd/" + std::to_string(tree.mount.get());
    spec.linux.emplace().intelRdt.emplace();
    spec.root.emplace();
    request.id = id;
    host.resctrl = root;
  }
  spec::LinuxIntelRdt& rdt() { return *spec.linux->intelRdt; }
  const store::Record& record() { return container.record(); }
  // "" or the failure.
  std::string enter() {
    plan::Draft d{{}, spec, request, request, host, warnings};
    plan::add_intel_rdt(d);
    const auto block = d.b.finish();
    const plan::View v(block.data());
    try {
      engine::enter_resctrl(v, v.begin()->as<IntelRdt>(), container, 4711);
    } catch (const spec::Error& e) {
      return e.what();
    }
    return "";
  }

  tests::TemporaryDirectory state;
  tests::FakeTree tree;
  std::string root;
  spec::Spec spec;
  plan::CreateRequest request;
  plan::Host host;
  plan::Warnings warnings;
  store::Container container;
};

}  // namespace

TEST_CASE("intelRdt without a resctrl mount is refused") {
  Bench b;
  b.host.resctrl = "";
  CHECK_THROWS_WITH_AS(b.enter(), doctest::Contains("linux.intelRdt: no resctrl file system"),
                       spec::Error);
}

TEST_CASE("a class by name, without limits: it must exist, is joined, and is not ours") {
  Bench b;
  b.rdt().closID = "shared";
  CHECK(b.enter() == "");
  CHECK(b.tree.read("shared/tasks") == "4711");
  CHECK(b.tree.read("shared/schemata") == "L3:0=0ff\nMB:0=100\n");
  CHECK(b.record().intel_rdt == "");
  CHECK(b.record().intel_rdt_group == b.root + "/shared");
  b.rdt().closID = "absent";
  CHECK(b.enter().find("does not exist") != std::string::npos);
  CHECK_FALSE(b.tree.exists("absent"));
}

TEST_CASE("a class by name that exists must have the limits") {
  Bench b;
  b.rdt().closID = "shared";
  b.rdt().l3CacheSchema = "L3:0=ff";
  b.rdt().memBwSchema = "MB:0=100";
  CHECK(b.enter() == "");
  CHECK(b.tree.read("shared/schemata") == "L3:0=0ff\nMB:0=100\n");
  b.rdt().l3CacheSchema = "L3:0=f";
  CHECK(b.enter().find("other limits") != std::string::npos);
  CHECK(b.tree.read("shared/schemata") == "L3:0=0ff\nMB:0=100\n");
}

TEST_CASE("schemata are written to a class that exists too") {
  Bench b;
  b.rdt().closID = "shared";
  b.rdt().schemata = {"L3:0=1f"};
  CHECK(b.enter() == "");
  CHECK(b.tree.read("shared/schemata").starts_with("L3:0=1f\n"));
}

TEST_CASE("a class by name that does not exist is made, and never ours") {
  Bench b;
  b.rdt().closID = "fresh";
  b.rdt().schemata = {"L3:0=1f"};
  CHECK(b.enter().find("fresh/schemata: write \"L3:0=1f\"") != std::string::npos);
  CHECK(b.tree.exists("fresh"));
  CHECK(b.record().intel_rdt == "");
  engine::leave_resctrl(b.record());
  CHECK(b.tree.exists("fresh"));
}

TEST_CASE("the default class is the root itself") {
  Bench b;
  b.rdt().closID = "/";
  CHECK(b.enter() == "");
  CHECK(b.tree.read("tasks") == "4711");
  CHECK(b.record().intel_rdt == "");
}

TEST_CASE("without a name the container's id is the class's: made by us, removed by us") {
  Bench b("c2");
  CHECK(b.enter().find("c2/tasks") != std::string::npos);
  CHECK(b.tree.exists("c2"));
  CHECK(b.record().intel_rdt == b.root + "/c2");
  const auto kept = store::Container::open(b.state.path(), "c2");
  CHECK(kept.record().intel_rdt == b.root + "/c2");  // on disk before it was made
  engine::leave_resctrl(b.record());
  CHECK_FALSE(b.tree.exists("c2"));
}

TEST_CASE("what was there before under the container's id is used and left") {
  Bench b;
  b.rdt().l3CacheSchema = "L3:0=3";
  CHECK(b.enter() == "");
  CHECK(b.tree.read("c1/schemata").starts_with("L3:0=3\n"));
  CHECK(b.record().intel_rdt == "");
  engine::leave_resctrl(b.record());
  CHECK(b.tree.exists("c1/tasks"));
}

TEST_CASE("monitoring: a group of the container's own, below its class") {
  Bench b;
  b.rdt().closID = "shared";
  b.rdt().enableMonitoring = true;
  CHECK(b.enter().find("mon_groups/c1/tasks") != std::string::npos);
  CHECK(b.tree.exists("shared/mon_groups/c1"));
  CHECK(b.record().intel_rdt_monitor == b.root + "/shared/mon_groups/c1");
  // There is one of that name now, which is not this container's.
  CHECK(b.enter().find("File exists") != std::string::npos);
  CHECK(b.record().intel_rdt_monitor == "");
  b.container.record().intel_rdt_monitor = b.root + "/shared/mon_groups/c1";
  engine::leave_resctrl(b.record());
  CHECK_FALSE(b.tree.exists("shared/mon_groups/c1"));
}

TEST_CASE("another process goes where the container is, the monitoring group last") {
  Bench b;
  store::Record record;
  engine::join_resctrl(record, 5);  // without intelRdt: nothing
  record.intel_rdt_group = b.root + "/shared";
  b.tree.directory("shared/mon_groups/c1");
  b.tree.file("shared/mon_groups/c1/tasks");
  record.intel_rdt_monitor = b.root + "/shared/mon_groups/c1";
  engine::join_resctrl(record, 5);
  CHECK(b.tree.read("shared/tasks") == "5");
  CHECK(b.tree.read("shared/mon_groups/c1/tasks") == "5");
}
