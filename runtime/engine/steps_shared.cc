// Kinds of step that are the init's as well.
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/engine/failure.h"
#include "runtime/engine/steps.h"
#include "runtime/init/scheduling.h"

namespace coracle::engine {

using plan::Call;
using plan::Op;

// prlimit(2): 0 or -errno.
static int set_rlimit(pid_t child, const plan::Rlimit& p) {
  const struct rlimit64 limit { p.soft, p.hard };
  return syscall(SYS_prlimit64, child, p.resource, &limit, nullptr) < 0 ? -errno : 0;
}

// True if `step` is one that changes the waiting init from outside; `r` is its result then.
static bool run_on_child(Walk& w, const plan::Step& step, Call& call, long& r) {
  if (w.child.pid <= 0) return false;
  if (step.op == Op::kRlimit) {
    call = Call::k_setrlimit;
    r = set_rlimit(w.child.pid, step.as<plan::Rlimit>());
    return true;
  }
  if (step.op != Op::kScheduler) return false;
  call = Call::k_sched_setattr;
  r = init::set_scheduler(w.child.pid, step.as<plan::Scheduler>());
  return true;
}

void run_shared(Walk& w, const plan::Step& step) {
  init::Context& context = w.slots.context();
  long r = 0;
  if (!run_on_child(w, step, context.call, r)) {
    r = init::run_step(context, step);
    w.slots.adopt();
  }
  const bool skip = step.on_error == plan::OnError::kSkipMissing && (r == -ENOENT || r == -ENOTDIR);
  if (r >= 0 || skip) return;
  throw parent_failure(w.view(), step, context.call, static_cast<int>(-r), context.text);
}

}  // namespace coracle::engine
