// The plan of `exec`: whose namespaces are joined where.
#include <doctest/doctest.h>
#include <linux/sched.h>

#include <vector>

#include "runtime/plan/plan.h"

using namespace coracle;

namespace {

struct Planned {
  explicit Planned(uint64_t join) {
    spec.linux.emplace();
    spec.root.emplace();
    process.args = {"true"};
    process.cwd = "/";
    plan::ExecRequest request;
    request.id = "x";
    request.join = join;
    plan::Warnings warnings;
    block = plan::make_exec(spec, process, request, {}, warnings);
  }
  plan::View view() const { return plan::View(block.data()); }
  const plan::Step* find(plan::Op op) const {
    for (const plan::Step& step : view())
      if (step.op == op) return &step;
    return nullptr;
  }
  // What the launcher joins before the clone.
  uint64_t joined_before() const {
    const plan::List joins = find(plan::Op::kClone)->as<plan::Clone>().join;
    return joins.count == 0 ? 0 : view().list<plan::Join>(joins)[0].nstype;
  }

  spec::Spec spec;
  spec::Process process;
  std::vector<unsigned char> block;
};

}  // namespace

// On a cgroup2 mounted with nsdelegate (as systemd does) clone3 with CLONE_INTO_CGROUP fails with
// ENOENT from a cgroup namespace that does not hold the caller's own cgroup.
TEST_CASE("the cgroup namespace is joined by the init, after the clone into the cgroup") {
  const Planned p(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP);
  CHECK(p.joined_before() == (CLONE_NEWNS | CLONE_NEWPID));
  const plan::Step* joins = p.find(plan::Op::kCgroupNamespace);
  REQUIRE(joins != nullptr);
  CHECK(joins > p.find(plan::Op::kClone));
  CHECK(joins->as<plan::CgroupNamespace>().slot != plan::kExecContainer);
  CHECK(joins->as<plan::CgroupNamespace>().slot != plan::kNoSlot);
}

TEST_CASE("only a cgroup namespace: no launcher") {
  const Planned p(CLONE_NEWCGROUP);
  CHECK(p.joined_before() == 0);
  CHECK(p.find(plan::Op::kCgroupNamespace) != nullptr);
}

TEST_CASE("the host's cgroup namespace is kept") {
  const Planned p(CLONE_NEWNS | CLONE_NEWPID);
  CHECK(p.joined_before() == (CLONE_NEWNS | CLONE_NEWPID));
  CHECK(p.find(plan::Op::kCgroupNamespace) == nullptr);
}
