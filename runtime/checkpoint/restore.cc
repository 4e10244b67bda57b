// restore: record and cgroup as `create` makes them, then criu makes the processes in them. criu
// runs inside the container's cgroup, so that whatever it makes is in there from the start, and
// `delete --force` finds it, criu included, by the record.
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <memory>
#include <optional>
#include <vector>

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/checkpoint/criu_mounts.h"
#include "runtime/checkpoint/criu_place.h"
#include "runtime/checkpoint/criu_stdio.h"
#include "runtime/container/creation.h"
#include "runtime/container/foreground.h"
#include "runtime/container/lifecycle.h"
#include "runtime/criu/session.h"
#include "runtime/engine/console.h"
#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::checkpoint {

using plan::HookKind;
using spec::cat;
using spec::Error;
using store::Status;

namespace {

constexpr char kLog[] = "restore.log";

// A container that a checkpoint has ended makes room; any other of that id does not.
void remove_checkpointed(const container::CreateRequest& request) {
  auto old = store::Container::open_for_removal(request.root.path, request.id);
  if (!old || !old->has_record() || !old->record().checkpointed) return;
  if (old->status() == Status::kStopped) container::destroy(*old, false);
}

class Restoration {
 public:
  explicit Restoration(const RestoreRequest& request)
      : request_(request), creation_(request.create, !request.create.detach) {
    check();
  }

  container::Creation& creation() { return creation_; }

  void run() {
    const std::string program = criu::find();
    const Images images(request_.images, false, kLog);
    const Stdio stdio = read_stdio(images.dir());
    images.let_in(spec());
    remove_checkpointed(request_.create);
    creation_.make_place();
    try {
      restore_into_place(program, images, stdio);
      creation_.set_bounds();
      creation_.let_live();
    } catch (...) {
      creation_.undo();
      throw;
    }
  }

 private:
  const spec::Spec& spec() const { return creation_.spec(); }

  void check() const {
    const spec::LinuxNamespace* mounts = spec::find_namespace(spec(), "mount");
    if (mounts == nullptr || !mounts->path.empty())
      throw Error::at("linux.namespaces", "restore needs a new mount namespace");
    for (const spec::LinuxNamespace& ns : spec().linux->namespaces)
      if (ns.type == "cgroup" && !ns.path.empty())
        throw Error::at("linux.namespaces",
                        "criu cannot restore into an existing cgroup namespace");
  }

  void restore_into_place(const std::string& program, const Images& images, const Stdio& stdio) {
    make_mount_points(spec(), request_.create.bundle, rootfs());
    Stage stage(creation_.container());
    criu::Options options;
    images.fill(request_.images, spec(), options);
    fill(options, stage);
    criu::Start start;
    start.program = program;
    join_namespaces(options, start);
    reconnect(stdio, options, start);
    start.place = stage.place();
    place_in_cgroup(options, start.place);
    criu::Patience patience;
    if (request_.images.lazy_pages) patience.silence = -1;  // see checkpoint
    criu::Session session(start, patience);
    session.check_version();
    session.check_features(false, request_.images.lazy_pages);
    const pid_t pid = session.perform(criu::Kind::kRestore, options, images.log(),
                                      [this](criu::Notice& notice) { listen(notice); });
    if (!announced_) complete(pid);
  }

  const std::string& rootfs() { return creation_.container().record().rootfs; }

  void fill(criu::Options& o, Stage& stage) {
    o.restore_sibling = true;
    o.evasive_devices = true;
    o.tcp_close = request_.tcp_close;
    o.lsm_profile = request_.lsm_profile;
    o.lsm_mount_context = request_.lsm_mount_context;
    o.root = stage.add_root(rootfs());
    o.external_mounts = external_mounts_for(spec(), request_.create.bundle);
    const std::string& path = creation_.container().record().cgroup_path;
    if (path.empty()) o.cgroup_mode = criu::CgroupMode::kIgnore;
    if (o.cgroup_mode == criu::CgroupMode::kIgnore) return;
    o.cgroup_root = path;
    o.cgroup_yard = stage.add_cgroups();
  }

  // Without criu's help the processes stay where criu is, and so does their view of it.
  void place_in_cgroup(const criu::Options& o, sys::Place& place) const {
    if (creation_.cgroup().dir) place.cgroup = &creation_.cgroup().dir;
    if (o.cgroup_mode == criu::CgroupMode::kIgnore && spec::find_namespace(spec(), "cgroup"))
      place.unshare |= CLONE_NEWCGROUP;
  }

  // Network and pid namespaces are external to criu, and come as descriptors; the others it joins.
  void join_namespaces(criu::Options& o, criu::Start& start) {
    for (const spec::LinuxNamespace& ns : spec().linux->namespaces) {
      if (ns.path.empty()) continue;
      const std::string path(ns.path);
      if (ns.type != "network" && ns.type != "pid") {
        o.join_namespaces.push_back({std::string(ns.type), path});
        continue;
      }
      sys::Fd fd = sys::open_at(sys::At::cwd(), path.c_str(), O_RDONLY);
      if (!fd) throw Error(cat("namespace path ", path), fd.error());
      hand(external_key(ns.type), std::move(fd), o, start);
    }
  }

  void reconnect(const Stdio& stdio, criu::Options& o, criu::Start& start) {
    for (int i = 0; i < static_cast<int>(stdio.size()); ++i) {
      sys::Fd copy(fcntl(i, F_DUPFD_CLOEXEC, 3));
      if (!copy) throw Error(cat("descriptor ", i), errno);
      const std::string& entry = stdio[static_cast<size_t>(i)];
      if (is_reconnected(entry)) hand(entry, std::move(copy), o, start);
    }
    if (!request_.images.shell_job) return;
    terminal_ = sys::Fd(fcntl(0, F_DUPFD_CLOEXEC, 3));  // whose session the job is to be in
    if (!terminal_) throw Error("descriptor 0", errno);
    start.stdio[0] = &terminal_;
    start.place.same_group = true;
  }

  void hand(std::string key, sys::Fd fd, criu::Options& o, criu::Start& start) {
    handed_.push_back(std::make_unique<sys::Fd>(std::move(fd)));
    o.inherited.push_back(
        {std::move(key), criu::kFirstHanded + static_cast<int>(start.handed.size())});
    start.handed.push_back(handed_.back().get());
  }

  // The processes exist from setup-namespaces on and wait until after post-restore.
  void listen(criu::Notice& notice) {
    if (log::enabled(log::Level::kDebug)) log::debug(cat("criu: ", notice.script));
    if (notice.script == "setup-namespaces") {
      adopt(notice.pid);
      container::run_hooks(HookKind::kPrestart, spec(), container(), Status::kCreated);
      container::run_hooks(HookKind::kCreateRuntime, spec(), container(), Status::kCreating);
    } else if (notice.script == "post-restore") {
      complete(notice.pid);
    } else if (notice.script == "orphan-pts-master") {
      take_console(std::move(notice.descriptor));
    }
  }

  store::Container& container() { return creation_.container(); }

  void adopt(pid_t pid) {
    if (creation_.child().pid == 0) creation_.adopt(pid);
  }

  // criu gives what it restores a time namespace, so that clocks do not jump: `exec` has to join
  // it.
  void note_time_namespace(pid_t pid) {
    struct stat theirs;
    struct stat ours;
    const std::string path = cat("/proc/", pid, "/ns/time");
    if (sys::stat_at(sys::At::cwd(), path.c_str(), theirs) < 0) return;  // a kernel without
    if (sys::stat_at(sys::At::cwd(), "/proc/self/ns/time", ours) < 0) return;
    if (theirs.st_ino != ours.st_ino) container().record().namespaces |= CLONE_NEWTIME;
  }

  void complete(pid_t pid) {
    adopt(pid);
    note_time_namespace(pid);
    creation_.announce();
    announced_ = true;
  }

  void take_console(sys::Fd master) {
    if (!master) throw Error("criu sent no terminal");
    if (request_.create.console_socket.empty()) {
      creation_.console() = std::move(master);
    } else {
      engine::send_descriptor(request_.create.console_socket, master, "/dev/pts/0");
    }
  }

  const RestoreRequest& request_;
  container::Creation creation_;
  std::vector<std::unique_ptr<sys::Fd>> handed_;
  sys::Fd terminal_;
  bool announced_ = false;
};

}  // namespace

int restore(const RestoreRequest& request) {
  check_may_use_criu("restore");
  Restoration restoration(request);
  std::optional<container::SignalGate> gate;
  const bool detach = request.create.detach;
  if (!detach) gate.emplace();
  if (!detach && !request.create.no_subreaper) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  restoration.run();
  if (detach) return 0;
  return container::see_out(restoration.creation(), *gate, request.create.keep, nullptr);
}

container::Started restore_detached(const RestoreRequest& request) {
  check_may_use_criu("restore");
  Restoration restoration(request);
  restoration.run();
  container::Creation& creation = restoration.creation();
  return {creation.child().pid, std::move(creation.console())};
}

}  // namespace coracle::checkpoint
