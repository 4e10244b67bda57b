#include "runtime/container/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>

#include "runtime/cgroup/control.h"
#include "runtime/container/filter.h"
#include "runtime/container/verbs.h"
#include "runtime/engine/intel_rdt.h"
#include "runtime/engine/unit.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::container {

using spec::cat;
using spec::Error;
using store::Status;

spec::Document kept_config(const store::Container& container) {
  spec::Document config =
      spec::Document::parse_config(container.config_text(), container.path() + "/config.json");
  settle_agent(config.spec);
  // See complete_userns(): it is the container's, though the bundle does not say so.
  const bool added = (container.record().namespaces & CLONE_NEWUSER) != 0 && config.spec.linux &&
                     find_namespace(config.spec, "user") == nullptr;
  if (added) config.spec.linux->namespaces.push_back({"user", ""});
  return config;
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

// The first process, wherever it was moved to; its pid namespace dies with it. The others are found
// by the cgroup (cgroup::destroy).
static void kill_init(const store::Container& container) {
  const sys::Fd init = container.pidfd();
  if (!init) return;
  sys::pidfd_send_signal(init, SIGKILL);  // gone meanwhile: as wanted
  if (sys::pidfd_wait(init, kKillDeadlineMs) == 0)
    throw Error(cat("process ", container.record().process.pid,
                    " does not end 10 s after SIGKILL (in the kernel, state D?)"));
}

// Without a mount namespace of its own the container's mounts are the host's: they are stacked
// above the mount that holds the rootfs, and go as a whole.
static void unmount_rootfs(const store::Record& record) {
  if (record.rootfs_mount == 0) return;
  const char* path = record.rootfs.c_str();
  for (uint64_t id = sys::mount_id(path); id != 0 && id != record.rootfs_mount;
       id = sys::mount_id(path)) {
    const int r = sys::unmount(path);
    if (r < 0) throw Error(cat("unmount ", path), r);
  }
}

static void remove_cgroup(const store::Container& container, const Known& known) {
  const store::Record& record = container.record();
  if (!record.unit.empty()) return engine::remove_unit(container, known.ask_systemd);
  if (record.cgroup_path.empty()) return;
  if (known.cgroup_mount != nullptr && *known.cgroup_mount) {
    cgroup::destroy(*known.cgroup_mount, record.cgroup_path);
  } else {
    cgroup::destroy(cgroup::open_mount(), record.cgroup_path);
  }
}

void take_away(store::Container& container, const spec::Spec& spec, const Known& known) {
  const store::Record& record = container.record();
  if (!known.init_ended) kill_init(container);
  if (container.same_boot()) {
    unmount_rootfs(record);
    remove_cgroup(container, known);
    engine::leave_resctrl(record);
  }
  if (record.process.pid != 0)
    run_hooks_unlocked(plan::HookKind::kPoststop, spec, container, Status::kStopped);
  container.remove();
}

// On a full disk it goes on without the note: the record still names all there is, and deleting is
// what makes room.
static void note_stopping(store::Container& container) {
  container.record().phase = store::Phase::kStopping;
  try {
    container.save();
  } catch (const Error& e) {
    if (e.code() != ENOSPC && e.code() != EDQUOT) throw;
    log::debug(e.what());
  }
}

// A create that died may have named a cgroup that is in use, and not come as far as to see it.
static bool is_anothers(const store::Container& container) {
  const std::string& path = container.path();
  const store::RootChoice root{path.substr(0, path.rfind('/')), false, false};
  for (const std::string& id : store::list_ids(root)) {
    if (id == container.id()) continue;
    try {
      const store::Container other = store::Container::open(root.path, id);
      if (other.same_boot() && other.record().cgroup_path == container.record().cgroup_path)
        return true;
    } catch (const Error& e) {
      log::debug(e.what());  // no container, or one that ends just now: then its cgroup does too
    }
  }
  return false;
}

void destroy(store::Container& container, bool force) {
  const Status status = container.status();
  if (status != Status::kStopped && !force)
    throw Error(
        cat(messages::kDelete, container.id(), messages::kNotStopped, store::status_name(status)));
  if (!container.has_record()) {  // a create that died before its first word: nothing else exists
    container.remove();
    return;
  }
  if (container.record().phase == store::Phase::kCreating && is_anothers(container))
    container.record().cgroup_path.clear();
  note_stopping(container);
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

}  // namespace coracle::container
