// The plan of what joins a container: in which order, and what is left for the last fork.
#include <doctest/doctest.h>
#include <linux/sched.h>

#include <string>
#include <vector>

#include "runtime/plan/describe.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/seccomp.h"

using namespace coracle;

namespace {

constexpr uint64_t kAll = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWUTS;
constexpr int kSysAdmin = 21;

struct Planned {
  explicit Planned(uint64_t join, bool privileged = true) {
    spec.linux.emplace();
    spec.root.emplace();
    process.args = {"true"};
    process.cwd = "/";
    request.id = "x";
    request.join = join;
    request.start_follows = true;
    host.privileged = privileged;
  }
  void make() {
    plan::Warnings warnings;
    block = plan::make_exec(spec, process, request, host, warnings);
  }
  plan::View view() const { return plan::View(block.data()); }
  // Position of the `n`th step of the kind; -1: there is none.
  long at(plan::Op op, int n = 0) const {
    for (const plan::Step& step : view())
      if (step.op == op && n-- == 0) return &step - view().begin();
    return -1;
  }
  uint32_t joined(int n) const {
    return view().begin()[at(plan::Op::kJoin, n)].as<plan::Join>().nstype;
  }

  spec::Spec spec;
  spec::Process process;
  plan::ExecRequest request;
  plan::Host host;
  std::vector<unsigned char> block;
};

}  // namespace

TEST_CASE("exec: the sealed init joins, after the clone into the cgroup; the pid namespace last") {
  Planned p(kAll);
  p.make();
  CHECK(p.view().begin()[p.at(plan::Op::kClone)].as<plan::Clone>().namespaces == 0);
  CHECK(p.at(plan::Op::kJoin) > p.at(plan::Op::kClone));
  CHECK(p.joined(0) == (kAll & ~uint64_t{CLONE_NEWPID}));
  CHECK(p.joined(1) == CLONE_NEWPID);
}

TEST_CASE("exec: nobody inside sees the process before its last fork") {
  Planned p(kAll);
  p.make();
  const long fork = p.at(plan::Op::kFork);
  for (const plan::Op op : {plan::Op::kPreserveFds, plan::Op::kCapabilities, plan::Op::kBoundingSet,
                            plan::Op::kResolveProgram, plan::Op::kUmask}) {
    CAPTURE(plan::step_name(op));
    CHECK(p.at(op) >= 0);
    CHECK(p.at(op) < fork);
  }
  CHECK(p.at(plan::Op::kAdopt) == fork + 1);
  CHECK(p.at(plan::Op::kAwaitStart) > fork);
  CHECK(p.at(plan::Op::kSetSession) == -1);  // Fork's
}

TEST_CASE("exec: a user namespace is joined last, with the rights of the runtime till then") {
  Planned p(kAll | CLONE_NEWUSER);
  p.make();
  CHECK(p.joined(2) == CLONE_NEWUSER);
  CHECK(p.at(plan::Op::kBecomeRoot) > p.at(plan::Op::kJoin, 2));
}

TEST_CASE("exec: an ordinary user joins the user namespace first, which gives him the others") {
  Planned p(kAll | CLONE_NEWUSER, false);
  p.make();
  CHECK(p.joined(0) == CLONE_NEWUSER);
  CHECK(p.joined(2) == CLONE_NEWPID);
}

TEST_CASE("exec: oom_score_adj is set before the joins, with the rights of the runtime") {
  Planned p(kAll | CLONE_NEWUSER);
  p.process.oomScoreAdj = -500;
  p.make();
  CHECK(p.at(plan::Op::kOomScoreAdj) < p.at(plan::Op::kJoin));
  CHECK(p.view().begin()[p.at(plan::Op::kOomScoreAdj)].on_error == plan::OnError::kFail);
  p.host.euid = 1000;  // who may not lower it runs containers all the same
  p.make();
  CHECK(p.view().begin()[p.at(plan::Op::kOomScoreAdj)].on_error == plan::OnError::kWarn);
}

TEST_CASE("exec: without a pid namespace to join there is no fork") {
  Planned p(CLONE_NEWNS);
  p.make();
  CHECK(p.at(plan::Op::kFork) == -1);
  CHECK(p.at(plan::Op::kSetSession) >= 0);
}

TEST_CASE("exec: what loads the filter has no more rights than the container once it is seen") {
  Planned p(kAll);
  const plan::seccomp::Program filter{{0x7fff000000000006}, 0, false, {}};
  p.request.seccomp = &filter;
  SUBCASE("without no_new_privs it takes CAP_SYS_ADMIN: before the fork") {
    p.make();
    CHECK(p.at(plan::Op::kSeccompFilter) < p.at(plan::Op::kFork));
    CHECK(p.at(plan::Op::kCapabilities, 2) < p.at(plan::Op::kFork));
  }
  SUBCASE("with it, at the end") {
    p.process.noNewPrivileges = true;
    p.make();
    CHECK(p.at(plan::Op::kSeccompFilter) > p.at(plan::Op::kAwaitStart));
  }
  SUBCASE("a container that has CAP_SYS_ADMIN itself gains nothing: at the end") {
    spec::LinuxCapabilities capabilities;
    capabilities.bounding = {"CAP_SYS_ADMIN"};
    p.process.capabilities = capabilities;
    p.make();
    CHECK(p.at(plan::Op::kSeccompFilter) > p.at(plan::Op::kAwaitStart));
  }
}

TEST_CASE("a hook in the image waits for a go only so that it can be moved first") {
  Planned p(kAll);
  p.request.waits = false;
  p.request.path = "/hook";
  p.make();
  CHECK(p.at(plan::Op::kAwaitStart) == -1);
  CHECK(p.at(plan::Op::kMeet) > p.at(plan::Op::kFork));
}
