#include "runtime/execute/child_steps.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/execute/words.h"
#include "runtime/sys/file.h"
#include "spec/text.h"

namespace coracle::execute {

using plan::Call;
using spec::cat;

// prlimit(2): 0 or -errno.
static int set_rlimit(pid_t child, const plan::Rlimit& p) {
  const struct rlimit64 limit { p.soft, p.hard };
  return syscall(SYS_prlimit64, child, p.resource, &limit, nullptr) < 0 ? -errno : 0;
}

// The host's procfs, which no container can have changed (proc_pid_oom_score_adj(5)).
static int set_oom_score_adj(pid_t child, const plan::OomScoreAdj& p) {
  const std::string path = cat("/proc/", child, "/oom_score_adj");
  return sys::write_attribute(sys::At::cwd(), path.c_str(), std::to_string(p.value));
}

bool run_on_child(pid_t child, const plan::View& plan, const plan::Step& step) {
  int r = 0;
  Call call = Call::k_none;
  if (step.op == plan::Op::kRlimit) {
    call = Call::k_setrlimit;
    r = set_rlimit(child, step.as<plan::Rlimit>());
  } else if (step.op == plan::Op::kOomScoreAdj) {
    call = Call::k_write;
    r = set_oom_score_adj(child, step.as<plan::OomScoreAdj>());
  } else {
    return false;
  }
  if (r < 0) throw parent_failure(plan, step, call, -r, "");
  return true;
}

}  // namespace coracle::execute
