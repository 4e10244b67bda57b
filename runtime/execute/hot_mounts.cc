#include "runtime/execute/hot_mounts.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "runtime/execute/host.h"
#include "runtime/execute/host_steps.h"
#include "runtime/execute/launch.h"
#include "runtime/execute/lifecycle.h"
#include "runtime/execute/words.h"
#include "runtime/log.h"
#include "runtime/plan/hot_mounts.h"
#include "spec/error.h"
#include "spec/validate.h"

namespace coracle::execute {

using plan::Op;

namespace {

class Helper {
 public:
  Helper(plan::HotPlan plan, sys::Fd container, const std::string& root)
      : plan_(std::move(plan)), root_(root) {
    steps_.begin(plan_.block);
    steps_.set(plan_.container, std::move(container));
  }
  ~Helper() {
    if (child_.pid == 0) return;
    sys::pidfd_send_signal(child_.pidfd, SIGKILL);  // ended already: as wanted
    reap();
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  void run(const std::string& rootfs) {
    const plan::View view(plan_.block.data());
    for (const plan::Step& step : view) do_step(step);
    await_exec(child_.channel, view, rootfs);
    if (reap() != 0) throw spec::Error("the mounting process was killed");
  }

 private:
  void do_step(const plan::Step& step) {
    if (step.actor != plan::Actor::kParent) return;
    if (step.op == Op::kIdmapUserns) return steps_.run(step.as<plan::IdmapUserns>());
    if (step.op == Op::kOpenNamespace) return steps_.run(step.as<plan::OpenNamespace>());
    if (step.op != Op::kClone) return steps_.run_shared(step, 0);
    child_ = launch({plan_.block, step.as<plan::Clone>(), -1, 3, ignored_signals(), root_});
  }

  int reap() {
    int status = 0;
    while (waitpid(child_.pid, &status, 0) < 0 && errno == EINTR) {
    }
    child_.pid = 0;
    return status;
  }

  plan::HotPlan plan_;
  const std::string& root_;
  HostSteps steps_;
  Child child_;
};

plan::HotPlan make_plan(const spec::Spec& spec, const store::Container& container,
                        MountChange change) {
  plan::HotRequest request;
  request.id = container.id();
  request.bundle = container.record().bundle;
  request.namespaces = container.record().namespaces;
  plan::Warnings warnings;
  const plan::Host host = probe_host(spec);
  plan::HotPlan plan = change == MountChange::kAdd
                           ? plan::make_hot_mounts(spec, request, host, warnings)
                           : plan::make_hot_removal(spec, request, host, warnings);
  for (const std::string& warning : warnings) log::warning(warning);
  return plan;
}

}  // namespace

void change_mounts(const std::string& root, const store::Container& container,
                   const spec::Document& mounts, MountChange change) {
  // What a container process could reach through /proc while we are in its pid namespace.
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  spec::Document config = kept_config(container);
  config.spec.mounts = mounts.spec.mounts;  // its strings live as long as `mounts`
  spec::Warnings warnings;
  if (change == MountChange::kAdd)
    spec::validate_mounts(config.spec.mounts, spec::find_namespace(config.spec, "user") != nullptr,
                          warnings);
  for (const std::string& warning : warnings) log::warning(warning);
  sys::Fd init = container.pidfd();
  if (!init) throw spec::Error("the container's first process", init.error());
  Helper helper(make_plan(config.spec, container, change), std::move(init), root);
  helper.run(container.record().rootfs);
}

}  // namespace coracle::execute
