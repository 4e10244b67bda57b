// exec: another plan over the same init, joined to a running container instead of making one.
#include <memory>
#include <optional>

#include "runtime/container/filter.h"
#include "runtime/container/foreground.h"
#include "runtime/container/join.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/verbs.h"
#include "runtime/engine/console.h"
#include "runtime/engine/intel_rdt.h"
#include "runtime/engine/walk.h"
#include "runtime/host/host.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/plan/plan.h"
#include "spec/error.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace coracle::container {

using spec::cat;
using spec::Error;
using store::Status;

namespace {

class ExecSession {
 public:
  explicit ExecSession(const ExecRequest& request)
      : request_(request),
        container_(store::Container::open_locked(request.root, request.id)),
        config_(kept_config(container_)) {
    check_status();
    first_.emplace(container_);
  }

  int run() {
    prepare();
    engine::check_detached_terminal(process_, request_.detach, !request_.console_socket.empty());
    if (!request_.detach) gate_.emplace();
    start();
    engine::Child child = walk_->release();
    if (request_.detach) return 0;
    return exit_status(wait_foreground({child.pid, child.pidfd, walk_->console}, *gate_));
  }

  Started run_detached() {
    prepare();
    start();
    return {walk_->release().pid, std::move(walk_->console)};
  }

 private:
  void prepare() {
    process_ = request_.process ? *request_.process : own_process();
    plan::Warnings warnings;
    spec::validate_process(process_, warnings);
    make_plan(warnings);
    for (const std::string& warning : warnings) log::warning(warning);
  }

  void check_status() const {
    switch (container_.status()) {
      case Status::kStopped:
        throw Error(messages::kExecStopped);
      case Status::kCreating:
        throw Error("cannot exec in a container that is still being created");
      case Status::kPaused:
        if (!request_.ignore_paused) throw Error(messages::kExecPaused);
        return;
      default:
        return;
    }
  }

  spec::Process own_process() const {
    static const spec::Process kNone;
    return apply(request_.overrides, config_.spec.process ? *config_.spec.process : kNone);
  }

  void make_plan(plan::Warnings& warnings) {
    host_ = host::probe_host(config_.spec);
    host::check_handed_fds(host_.listen_fds, request_.preserve_fds);
    plan::ExecRequest r;
    r.id = request_.id;
    r.start_follows = true;
    r.join = container_.record().namespaces;
    r.preserve_fds = request_.preserve_fds;
    r.has_console_socket = !request_.console_socket.empty();
    r.into_cgroup = !container_.record().cgroup_path.empty();
    const auto filter = filter_of(config_.spec, warnings);
    if (filter) r.seccomp = &*filter;
    block_ = plan::make_exec(config_.spec, process_, r, host_, warnings);
  }

  void start() {
    const engine::Setting setting{block_,
                                  container_,
                                  request_.root,
                                  Status::kRunning,
                                  3 + host_.listen_fds + request_.preserve_fds,
                                  request_.console_socket,
                                  gate_.has_value()};
    JoinRequest how{setting, *first_, container_.record().namespaces};
    how.cgroup = request_.cgroup.empty() ? cgroup_of_process(container_, config_.spec, *first_)
                                         : container_.record().cgroup_path;
    how.sub = request_.cgroup;
    how.born = [this](pid_t pid) { born(pid); };
    walk_ = join(how);
    try {
      let_go();
    } catch (...) {
      walk_->end();
      throw;
    }
    container_.unlock();
    if (!request_.pid_file.empty()) write_pid_file(request_.pid_file, walk_->child.pid);
  }

  void let_go() {
    if (log::enabled(log::Level::kDebug))
      log::debug(cat(messages::kDebugExec, ": ", spec::quoted(process_.args[0])));
    walk_->commit();
    walk_->await_program();
    if (!request_.pidfd_socket.empty())
      engine::send_descriptor(request_.pidfd_socket, walk_->child.pidfd, "pidfd");
  }

  void born(pid_t pid) {
    engine::join_resctrl(container_.record(), pid);
    // Frozen from birth: only `resume` can let it go on, and that takes the lock.
    if (container_.status() == Status::kPaused) container_.unlock();
  }

  const ExecRequest& request_;
  store::Container container_;
  spec::Document config_;
  std::optional<FirstProcess> first_;
  spec::Process process_;
  plan::Host host_;
  std::vector<unsigned char> block_;
  std::optional<SignalGate> gate_;  // in the foreground
  std::unique_ptr<engine::Walk> walk_;
};

}  // namespace

int exec(const ExecRequest& request) { return ExecSession(request).run(); }

Started exec_detached(const ExecRequest& request) { return ExecSession(request).run_detached(); }

}  // namespace coracle::container
