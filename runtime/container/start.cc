// create, start, run: see creation.h for the part they share.
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "runtime/container/creation.h"
#include "runtime/container/foreground.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/notify.h"
#include "runtime/container/verbs.h"
#include "runtime/engine/console.h"
#include "runtime/engine/failure.h"
#include "runtime/engine/report.h"
#include "runtime/engine/walk.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/store/exit_record.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::container {

using plan::HookKind;
using spec::Error;
using store::Status;

void create(const CreateRequest& request) {
  Creation creation(request, false);
  creation.make();
  creation.commit();
}

static void check_startable(const store::Container& container) {
  switch (container.status()) {
    case Status::kCreated:
      return;
    case Status::kStopped:
      throw Error(messages::kStartStopped);
    case Status::kCreating:
      throw Error("cannot start a container that is still being created");
    default:
      throw Error(messages::kStartRunning);
  }
}

// Behind its seccomp filter the init may not have been able to send what it has written.
static std::optional<plan::Message> outcome(engine::Channel& channel,
                                            const store::Container& container) {
  const std::optional<engine::Received> got = channel.receive();
  if (got) return got->message;
  const sys::Fd file = container.open_report();
  plan::Report report{};
  // A container of an older version has no such file.
  if (!file || engine::read_report(file, report) < 0) return std::nullopt;
  if (report.failure.kind != plan::MessageKind::kFailure) return std::nullopt;
  return report.failure;
}

// Without the plan of `create`: the message says which kind of step it was.
static void await_start_outcome(engine::Channel& channel, const store::Container& container,
                                const spec::Spec& spec) {
  const auto message = outcome(channel, container);
  if (message) throw engine::start_failure(*message, spec, container.record().rootfs);
  engine::tell_running();
}

// runtime.md, "start": an error must be generated; how it is exposed is left open. It is told in
// words, the container is stopped, and the status stays 0: runtime-tools' validation wants it so,
// and its view is the only one engines were ever tested with.
static void end_without_process(store::Container& container) {
  log::failure(
      "process: not set in config.json: there is nothing to start; the container is "
      "stopped");
  const sys::Fd init = container.pidfd();
  container.remove_start_socket();
  if (!init) return;  // ended meanwhile: as wanted
  const int r = sys::pidfd_send_signal(init, SIGKILL);
  if (r < 0 && r != -ESRCH) throw Error("failed to end the container's init", r);
  // Whoever asks next is not to be told that it runs.
  constexpr int kEndMs = 10'000;
  if (sys::pidfd_wait(init, kEndMs) == 0) throw Error("the container's init does not end");
}

void start(const std::string& root, std::string_view id, std::string_view notify_socket) {
  store::Container container = store::Container::open_locked(root, id);
  check_startable(container);
  const spec::Document config = kept_config(container);
  if (!config.spec.process) return end_without_process(container);
  const sys::Fd init = container.pidfd();
  if (!init) throw Error("the container's init", init.error());
  sys::Fd socket = container.connect_start_socket();
  if (!socket) throw Error("connect to the container's init", socket.error());
  engine::Channel channel(std::move(socket));
  try {
    run_hooks(HookKind::kStartContainer, config.spec, container, Status::kCreated);
  } catch (...) {
    take_away(container, config.spec);  // runtime.md, lifecycle step 7
    throw;
  }
  Notifier notifier(container, notify_socket);
  container.remove_start_socket();
  const int sent = channel.send_go(0);
  if (sent < 0) throw Error("failed to tell the container's init to go on", sent);
  await_start_outcome(channel, container, config.spec);
  try {
    run_hooks_unlocked(HookKind::kPoststart, config.spec, container, Status::kRunning);
  } catch (...) {
    take_away(container, config.spec);  // runtime.md, lifecycle step 9: stop the container
    throw;
  }
  if (!notifier) return;
  container.unlock();
  notifier.relay(container.record().process.pid, init);
}

// After make(): the start, in the same process.
static void start_here(Creation& creation) {
  store::Container& container = creation.container();
  run_hooks(HookKind::kStartContainer, creation.spec(), container, Status::kCreated);
  creation.commit();
  creation.await_program();
  run_hooks_unlocked(HookKind::kPoststart, creation.spec(), container, Status::kRunning);
}

static bool has_own_pids(const spec::Spec& spec) {
  const spec::LinuxNamespace* ns = find_namespace(spec, "pid");
  return ns != nullptr && ns->path.empty();
}

int see_out(Creation& creation, const SignalGate& gate, bool keep, Notifier* notifier) {
  creation.container().unlock();
  engine::Child& child = creation.child();
  const int status = wait_foreground({child.pid, child.pidfd, creation.console(), notifier}, gate);
  creation.container().lock();
  if (keep) {
    store::Exit exit = store::exit_of(status);
    exit.oom_killed = creation.was_oom_killed();
    store::save_exit(creation.container(), exit);
  } else {
    take_away(creation.container(), creation.spec(), {&creation.cgroup_mount(), true});
  }
  return exit_status(status);
}

int run(const CreateRequest& request) {
  // Not taken down in the end: the process is about to leave, and the kernel closes a dozen
  // descriptors faster than a dozen calls do.
  static Creation* kept = nullptr;
  static SignalGate* gate = nullptr;
  kept = new Creation(request, true);
  Creation& creation = *kept;
  if (!creation.spec().process)
    throw Error::at("process", "not set in config.json: there is nothing to run");
  engine::check_detached_terminal(*creation.spec().process, request.detach,
                                  !request.console_socket.empty());
  engine::check_input(*creation.spec().process, request.detach || !request.console_socket.empty());
  if (!request.detach) gate = new SignalGate;
  // As subreaper we see the end of what a container without a pid namespace leaves behind.
  if (!request.detach && !request.no_subreaper && !has_own_pids(creation.spec()))
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  creation.make();
  Notifier notifier(creation.container(), request.notify_socket);
  try {
    start_here(creation);
  } catch (...) {
    creation.undo();
    throw;
  }
  if (!request.detach) return see_out(creation, *gate, request.keep, &notifier);
  if (!notifier) return 0;
  creation.container().unlock();
  notifier.relay(creation.child().pid, creation.child().pidfd);
  return 0;
}

std::string plan_bundle(const CreateRequest& request, std::string_view format) {
  CreateRequest any_console = request;
  any_console.keep_console = true;
  const Creation creation(any_console, false);
  return creation.planned(format == "json");
}

}  // namespace coracle::container
