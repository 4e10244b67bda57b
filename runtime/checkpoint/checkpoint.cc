#include "runtime/checkpoint/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "runtime/cgroup/control.h"
#include "runtime/cgroup/fs.h"
#include "runtime/checkpoint/criu_mounts.h"
#include "runtime/checkpoint/criu_place.h"
#include "runtime/checkpoint/criu_stdio.h"
#include "runtime/container/lifecycle.h"
#include "runtime/criu/session.h"
#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::checkpoint {

using spec::cat;
using spec::Error;
using store::Status;

namespace {

constexpr char kLog[] = "dump.log";
constexpr int kEndMs = 10'000;

class Dump {
 public:
  explicit Dump(const CheckpointRequest& request)
      : request_(request),
        container_(store::Container::open_locked(request.root, request.id)),
        config_(container::kept_config(container_)) {
    check_container();
    init_ = container_.pidfd();
    if (!init_) throw Error("the container's first process has ended", init_.error());
  }

  void run() {
    const std::string program = criu::find();
    const Images images(request_.images, true, kLog);
    check_parent(images);
    take_status_fd();
    Stage stage(container_);
    criu::Options options;
    images.fill(request_.images, spec(), options);
    fill(options, stage);
    criu::Start start;
    start.program = program;
    start.place = stage.place();
    criu::Session session(start, patience());
    session.check_version();
    session.check_features(request_.pre_dump || !request_.parent_path.empty(),
                           request_.images.lazy_pages);
    if (!request_.pre_dump) describe(images, options);
    session.perform(request_.pre_dump ? criu::Kind::kPreDump : criu::Kind::kDump, options,
                    images.log(), [this](criu::Notice& notice) { listen(notice); });
    if (!request_.pre_dump && !request_.leave_running) finish();
  }

 private:
  const spec::Spec& spec() const { return config_.spec; }
  pid_t pid() const { return container_.record().process.pid; }

  void check_container() const {
    const Status status = container_.status();
    if (status != Status::kRunning && status != Status::kPaused)
      throw Error(cat("cannot checkpoint a container that is ", store::status_name(status)));
    if ((container_.record().namespaces & CLONE_NEWNS) == 0)
      throw Error(
          "cannot checkpoint a container without a mount namespace (linux.namespaces): its mounts "
          "are the host's");
  }

  // criu says little about a wrong one.
  void check_parent(const Images& images) const {
    const std::string& path = request_.parent_path;
    if (path.empty()) return;
    if (path.starts_with('/'))
      throw Error(cat("--parent-path ", path, " must be relative to --image-path"));
    const sys::Fd dir = sys::open_at(images.dir(), path.c_str(), O_PATH | O_DIRECTORY);
    if (!dir) throw Error(cat("invalid --parent-path ", images.path(), "/", path), dir.error());
  }

  // Ours from here on: whoever waits at its other end is to see an end when criu is done with it.
  void take_status_fd() {
    if (request_.status_fd < 0) return;
    if (fcntl(request_.status_fd, F_SETFD, FD_CLOEXEC) < 0)
      throw Error(cat("--status-fd ", request_.status_fd), errno);
    status_fd_ = sys::Fd(request_.status_fd);
  }

  // criu has opened the status fd anew before it says anything.
  void listen(criu::Notice& notice) {
    if (log::enabled(log::Level::kDebug)) log::debug(cat("criu: ", notice.script));
    status_fd_.reset();
  }

  // Lazy pages are served until somebody has fetched them all: nobody knows how long that takes.
  criu::Patience patience() const {
    criu::Patience patience;
    if (request_.images.lazy_pages) patience.silence = -1;
    return patience;
  }

  void fill(criu::Options& o, Stage& stage) const {
    o.pid = pid();
    o.leave_running = request_.leave_running;
    o.tcp_skip_in_flight = request_.tcp_skip_in_flight;
    o.link_remap = request_.link_remap;
    o.status_fd = request_.status_fd;
    o.parent_img = request_.parent_path;
    o.track_mem = request_.pre_dump || !request_.parent_path.empty();
    o.page_server_address = request_.page_server_address;
    o.page_server_port = request_.page_server_port;
    o.root = container_.record().rootfs;
    if (!container_.record().cgroup_path.empty())
      o.freeze_cgroup = cat("/sys/fs/cgroup", container_.record().cgroup_path);
    if (o.cgroup_mode != criu::CgroupMode::kIgnore) o.cgroup_yard = stage.add_cgroups();
    for (const spec::LinuxNamespace& ns : spec().linux->namespaces)
      if (!ns.path.empty() && (ns.type == "network" || ns.type == "pid"))
        o.externals.push_back(external_namespace(pid(), ns.type));
  }

  // What is not the container's own; a pre-dump saves memory only.
  void describe(const Images& images, criu::Options& o) const {
    o.external_mounts = external_mounts_of(pid(), spec());
    const Stdio stdio = stdio_of(processes(), !request_.images.shell_job);
    for (std::string& entry : externals_of(stdio)) o.externals.push_back(std::move(entry));
    write_stdio(images.dir(), stdio);
  }

  // The first process first.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> list;
    const std::string& path = container_.record().cgroup_path;
    if (!path.empty()) list = cgroup::pids(cgroup::open(cgroup::open_mount(), path), true);
    list.erase(std::remove(list.begin(), list.end(), pid()), list.end());
    list.insert(list.begin(), pid());
    return list;
  }

  // criu has killed it by now; it is gone for good once its parent knows.
  void finish() {
    sys::pidfd_wait(init_, kEndMs);
    container_.record().checkpointed = true;
    container_.save();
  }

  const CheckpointRequest& request_;
  store::Container container_;
  spec::Document config_;
  sys::Fd init_;
  sys::Fd status_fd_;
};

}  // namespace

void checkpoint(const CheckpointRequest& request) {
  check_may_use_criu("checkpoint");
  Dump(request).run();
}

}  // namespace coracle::checkpoint
