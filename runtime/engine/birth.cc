#include "runtime/engine/birth.h"

#include <errno.h>

#include "runtime/engine/unit.h"
#include "runtime/sys/process.h"
#include "spec/error.h"

namespace coracle::engine {

using spec::Error;

static void move_in(const Walk& w, pid_t pid, int reason) {
  if (reason == ENOSYS) return cgroup::move(w.cgroup, pid);
  const store::Record& record = w.setting.container.record();
  connect_manager(record, kStartTimeoutMs).attach_process(record.unit, pid);
}

static Child give_birth_outside(const Walk& w, Launch how, int reason) {
  how.cgroup = -1;
  how.hold = true;
  Child child = launch(how);
  try {
    move_in(w, child.pid, reason);
    const int r = child.channel.send_go(0);
    if (r < 0) throw Error("failed to tell the container's init to go on", r);
  } catch (...) {
    sys::end_child(child.pid);
    throw;
  }
  return child;
}

Child give_birth(Walk& w, const plan::Clone& p) {
  const Setting& s = w.setting;
  Launch how{s.block, p, s.state_root, w.report, -1, s.first_fd, s.stdio};
  if ((p.flags & plan::kCloneIntoCgroup) != 0 && w.cgroup.dir) how.cgroup = w.cgroup.dir.get();
  int reason = 0;
  try {
    return launch(how);
  } catch (const Error& e) {
    reason = e.code();
    const bool by_systemd = reason == EACCES && !s.container.record().unit.empty();
    if (how.cgroup < 0 || (!by_systemd && reason != ENOSYS)) throw;
  }
  return give_birth_outside(w, how, reason);
}

}  // namespace coracle::engine
