#include "runtime/execute/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "runtime/cgroup/control.h"
#include "runtime/execute/execute.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::execute {

using spec::cat;
using spec::Error;
using store::Status;

spec::Document kept_config(const store::Container& container) {
  return spec::Document::parse_config(container.config_text(), container.path() + "/config.json");
}

void write_pid_file(const std::string& path, pid_t pid) {
  const size_t slash = path.rfind('/');
  const std::string temporary =
      cat(path.substr(0, slash + 1), ".", path.substr(slash + 1), ".", getpid());
  sys::Fd file = sys::open_at(sys::At::cwd(), temporary.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0, 0644);
  if (!file) throw Error(cat("pid file ", path), file.error());
  int r = sys::write_all(file, std::to_string(pid));
  if (r == 0) r = sys::rename_at(sys::At::cwd(), temporary.c_str(), sys::At::cwd(), path.c_str());
  if (r == 0) return;
  sys::unlink_at(sys::At::cwd(), temporary.c_str());  // the first error is the one to tell
  throw Error(cat("pid file ", path), r);
}

static constexpr int kKillDeadlineMs = 10'000;

// Everything in the cgroup, and the first process: without a cgroup, its pid namespace dies with
// it.
static void kill_processes(const store::Container& container, const sys::Fd& mount) {
  const sys::Fd init = container.pidfd();
  if (mount) {
    const cgroup::Cgroup cgroup = cgroup::try_open(mount, container.record().cgroup_path);
    if (cgroup.dir) cgroup::kill_all(cgroup);
  }
  if (!init) return;
  sys::pidfd_send_signal(init, SIGKILL);  // gone meanwhile: as wanted
  if (sys::pidfd_wait(init, kKillDeadlineMs) == 0)
    throw Error(cat("process ", container.record().process.pid,
                    " does not end 10 s after SIGKILL (in the kernel, state D?)"));
}

void take_away(store::Container& container, const spec::Spec& spec) {
  const store::Record& record = container.record();
  sys::Fd mount;
  if (!record.cgroup_path.empty() && container.same_boot()) mount = cgroup::open_mount();
  kill_processes(container, mount);
  if (mount) cgroup::destroy(mount, record.cgroup_path);
  if (record.process.pid != 0)
    run_hooks(plan::HookKind::kPoststop, spec, container, Status::kStopped, nullptr);
  container.remove();
}

void destroy(store::Container& container, bool force) {
  const Status status = container.status();
  if (status != Status::kStopped && !force)
    throw Error(cat(messages::kDelete, container.id(), messages::kNotStopped,
                    store::status_name(status)));
  if (!container.has_record()) {  // a create that died before its first word: nothing else exists
    container.remove();
    return;
  }
  container.record().phase = store::Phase::kStopping;
  container.save();
  std::optional<spec::Document> config;
  try {
    config.emplace(kept_config(container));
  } catch (const Error& e) {
    // Died between record and copy, before any kernel object: there are no hooks to run.
    log::debug(e.what());
  }
  static const spec::Spec kNothing;
  take_away(container, config ? config->spec : kNothing);
}

}  // namespace coracle::execute
