// exec: another plan over the same init, joined to a running container instead of making one.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "runtime/cgroup/fs.h"
#include "runtime/cgroup/settle.h"
#include "runtime/execute/console.h"
#include "runtime/execute/execute.h"
#include "runtime/execute/filter.h"
#include "runtime/execute/foreground.h"
#include "runtime/execute/host.h"
#include "runtime/execute/host_steps.h"
#include "runtime/execute/intel_rdt.h"
#include "runtime/execute/launch.h"
#include "runtime/execute/lifecycle.h"
#include "runtime/execute/unit.h"
#include "runtime/execute/words.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/plan/plan.h"
#include "runtime/sys/file.h"
#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace coracle::execute {

using plan::Op;
using spec::cat;
using spec::Error;
using store::Status;

namespace {

class Joining {
 public:
  explicit Joining(const ExecRequest& request)
      : request_(request),
        container_(store::Container::open_locked(request.root, request.id)),
        config_(kept_config(container_)) {
    check_status();
    init_ = container_.pidfd();
    if (!init_) throw Error(messages::kExecStopped);
  }

  int run() {
    prepare();
    check_detached_terminal(process_, request_.detach, !request_.console_socket.empty());
    if (!request_.detach) gate_.emplace();
    start();
    if (request_.detach) return 0;
    return exit_status(wait_foreground({child_.pid, child_.pidfd, console_}, *gate_));
  }

  Started run_detached() {
    prepare();
    start();
    return {child_.pid, std::move(console_)};
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
    host_ = probe_host(config_.spec);
    check_handed_fds(host_.listen_fds, request_.preserve_fds);
    plan::ExecRequest r;
    r.id = request_.id;
    r.join = container_.record().namespaces;
    r.preserve_fds = request_.preserve_fds;
    r.has_console_socket = !request_.console_socket.empty();
    r.into_cgroup = !container_.record().cgroup_path.empty();
    plan::seccomp::Program program;
    if (auto filter = filter_of(request_.root, config_.spec, warnings)) {
      program = std::move(*filter);
      r.seccomp = &program.instructions;
      r.seccomp_flags = program.flags;
      r.seccomp_notify = program.notify;
    }
    block_ = plan::make_exec(config_.spec, process_, r, host_, warnings);
  }

  void start() {
    walk();
    container_.unlock();
    if (!request_.pid_file.empty()) write_pid_file(request_.pid_file, child_.pid);
  }

  void walk() {
    try {
      host_steps_.begin(block_);
      for (const plan::Step& step : plan::View(block_.data())) do_step(step);
      await_exec(child_.channel, plan::View(block_.data()), container_.record().rootfs);
      if (!request_.pidfd_socket.empty())
        send_descriptor(request_.pidfd_socket, child_.pidfd, "pidfd");
    } catch (...) {
      end_child();
      throw;
    }
  }

  void do_step(const plan::Step& step) {
    const plan::View view(block_.data());
    const auto index = static_cast<uint16_t>(&step - view.begin());
    if (step.op == Op::kMeet && step.actor == plan::Actor::kParent) {
      await(plan::MessageKind::kReached, index, nullptr);
    } else if (step.op == Op::kMeet) {
      child_.channel.send_go(index);
    } else if (step.op == Op::kClone) {
      start_child(step.as<plan::Clone>());
      join_resctrl(container_.record(), child_.pid);
      // Frozen from birth: only `resume` can let it go on, and that takes the lock.
      if (container_.status() == Status::kPaused) container_.unlock();
    } else if (step.op == Op::kConsoleSend) {
      await(plan::MessageKind::kDescriptor, index, &console_);
      hand_over_console();
    } else if (step.op == Op::kSeccompListener) {
      sys::Fd listener;
      await(plan::MessageKind::kDescriptor, index, &listener);
      send_listener(view, step.as<plan::SeccompListener>(), container_, Status::kRunning,
                    child_.pid, listener);
    } else if (step.op == Op::kAwaitStart) {
      await(plan::MessageKind::kReached, index, nullptr);
      if (log::enabled(log::Level::kDebug))
        log::debug(cat(messages::kDebugExec, ": ", spec::quoted(process_.args[0])));
      child_.channel.send_go(index);
    } else if (step.actor == plan::Actor::kParent) {
      // execCPUAffinity.initial among them: inherited by the child.
      host_steps_.run_shared(step, child_.pid);
    }
  }

  void start_child(const plan::Clone& clone) {
    fill_slots();
    try {
      child_ = launch_in(clone, own_cgroup(), request_.cgroup);
    } catch (const Error& e) {
      // Nobody can be born in a pid namespace whose first process has ended (pid_namespaces(7)).
      if (e.code() == ENOMEM && !container_.pidfd()) throw Error(messages::kExecStopped);
      // The container has moved its processes further down and enabled controllers in its own
      // cgroup: only a leaf may have processes then (cgroup-v2.rst). Its init is in one.
      // Or it has left that cgroup for another, and somebody removed it.
      if (e.code() == EBUSY && !request_.cgroup.empty()) not_there();
      if ((e.code() != EBUSY && e.code() != ENOENT) || !request_.cgroup.empty()) throw;
      child_ = launch_in(clone, cgroup_of_init(), "");
    }
  }

  // The slots of make_exec: whose namespaces to join, the cgroup namespace by itself, and, where
  // the mount namespace is the host's own, the container's root in it.
  void fill_slots() {
    const plan::View view(block_.data());
    for (const plan::Step& step : view) {
      if (step.op == Op::kCgroupNamespace) {
        // Not by the pidfd: the init, in the container's user namespace, may not be allowed to
        // look at a process whose program is unreadable (ptrace(2), "access mode checking").
        host_steps_.set(step.as<plan::CgroupNamespace>().slot, open_of_init("ns/cgroup", O_RDONLY));
      } else if (step.op == Op::kEnterRoot) {
        host_steps_.set(step.as<plan::EnterRoot>().slot,
                        open_of_init("root", O_PATH | O_DIRECTORY));
      }
    }
    host_steps_.set(plan::kExecContainer, std::move(init_));
  }

  sys::Fd open_of_init(const char* name, int flags) const {
    const std::string path = cat("/proc/", container_.record().process.pid, "/", name);
    sys::Fd fd = sys::open_at(sys::At::cwd(), path.c_str(), flags);
    // What was opened through /proc is of this process only if it still lives.
    if (sys::pidfd_wait(init_, 0) != 0) throw Error(messages::kExecStopped);
    if (!fd) throw Error(path, fd.error());
    return fd;
  }

  Child launch_in(const plan::Clone& clone, std::string_view path, std::string_view sub) {
    const uint32_t first = 3 + host_.listen_fds + request_.preserve_fds;
    cgroup::Cgroup cgroup;
    if ((clone.flags & plan::kCloneIntoCgroup) != 0) {
      const sys::Fd mount = cgroup::open_mount();
      cgroup = cgroup::open(mount, path);
      if (!sub.empty()) cgroup = cgroup::open_sub(cgroup, sub);
    }
    const Launch how{
        block_, clone, cgroup.dir ? cgroup.dir.get() : -1, first, ignored_signals(), request_.root};
    // systemd would move it to the top of the unit.
    return sub.empty() ? launch_in_unit(how, container_.record()) : launch(how);
  }

  // In runc's words.
  [[noreturn]] void not_there() const {
    throw Error(cat("adding pid of the new process to cgroups: ", request_.cgroup,
                    " gives controllers to its children, so only those may have processes"),
                EBUSY);
  }

  // With a cgroup of its own below the container's the program is there, and so are its helpers.
  std::string own_cgroup() const {
    const bool leaf = !spec::find(config_.spec.annotations, spec::kDelegateCgroup).empty();
    return leaf && request_.cgroup.empty() ? cgroup_of_init() : container_.record().cgroup_path;
  }

  std::string cgroup_of_init() const {
    const std::string file = cat("/proc/", container_.record().process.pid, "/cgroup");
    std::string text;
    const int r = sys::read_file(sys::At::cwd(), file.c_str(), text);
    if (r < 0) throw Error(file, r);
    return cgroup::unified_path(text);
  }

  void await(plan::MessageKind kind, uint16_t index, sys::Fd* descriptor) {
    if (!await_message(child_.channel, plan::View(block_.data()), kind, index,
                       container_.record().rootfs, descriptor))
      throw Error("the process ended before it could be executed (killed?)");
  }

  void hand_over_console() {
    if (request_.console_socket.empty()) {
      if (gate_) suit_output(console_);
      return;
    }
    send_descriptor(request_.console_socket, console_, "/dev/pts/0");
    console_.reset();
  }

  void end_child() {
    if (child_.pid == 0) return;
    sys::pidfd_send_signal(child_.pidfd, SIGKILL);  // ended already: as wanted
    while (waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  const ExecRequest& request_;
  store::Container container_;
  spec::Document config_;
  spec::Process process_;
  plan::Host host_;
  std::vector<unsigned char> block_;
  sys::Fd init_;  // pidfd; then in its slot
  HostSteps host_steps_;
  sys::Fd console_;
  Child child_;
  std::optional<SignalGate> gate_;  // in the foreground
};

}  // namespace

// What a container process could reach through /proc while we are in its pid namespace.
static void hide() { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

int exec(const ExecRequest& request) {
  hide();
  return Joining(request).run();
}

Started exec_detached(const ExecRequest& request) {
  hide();
  return Joining(request).run_detached();
}

}  // namespace coracle::execute
