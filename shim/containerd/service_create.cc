// Create, Exec and Start: how processes come to be.
#include <cerrno>
#include <utility>

#include "runtime/execute/creation.h"
#include "runtime/execute/execute.h"
#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "shim/containerd/bundle.h"
#include "shim/containerd/rootfs.h"
#include "shim/containerd/service.h"
#include "spec/json.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;
using ttrpc::Code;

namespace {

// The end of a worker's words about a container: what the shim has to remember of its record.
constexpr char kOwnPids = 'p', kSharedPids = '-';

std::string summary_of(const store::Record& record) {
  return cat(record.own_pids ? kOwnPids : kSharedPids, record.cgroup_path);
}

execute::CreateRequest create_request(const CreateTask& task, const Options& options,
                                      const store::RootChoice& root) {
  execute::CreateRequest request;
  request.root = root;
  request.id = task.id;
  request.bundle = task.bundle;
  request.keep_console = task.stdio.terminal;
  request.no_pivot = options.no_pivot_root;
  request.no_new_keyring = options.no_new_keyring;
  if (options.systemd_cgroup) request.cgroup_manager = "systemd";
  return request;
}

// In a worker, whose standard streams the container's process gets.
Outcome create_container(const CreateTask& task, const Options& options,
                         const store::RootChoice& root) {
  write_state_root(task.bundle, root.path);
  const std::string rootfs = cat(task.bundle, "/rootfs");
  mount_rootfs(task.rootfs, rootfs);
  try {
    const execute::CreateRequest request = create_request(task, options, root);
    execute::Creation creation(request, false);
    creation.make();
    creation.commit();
    Outcome outcome;
    outcome.pid = creation.child().pid;
    outcome.descriptor = std::move(creation.console());
    outcome.text = summary_of(creation.container().record());
    return outcome;
  } catch (...) {
    if (!task.rootfs.empty()) unmount_rootfs(rootfs);
    throw;
  }
}

Outcome exec_process(const std::string& root, const std::string& id, const std::string& spec,
                     bool terminal) {
  spec::Document document = spec::Document::parse_process(spec, "process");
  document.spec.process->terminal = terminal;
  execute::ExecRequest request;
  request.root = root;
  request.id = id;
  request.process = &document.process();
  execute::Started started = execute::exec_detached(request);
  Outcome outcome;
  outcome.pid = started.pid;
  outcome.descriptor = std::move(started.console);
  return outcome;
}

}  // namespace

// ---- Create ------------------------------------------------------------------------------------

void Service::create(Call call, std::string_view payload) {
  auto request = std::make_shared<CreateTask>(parse_create(payload));
  store::check_id(request->id);
  if (!request->bundle.starts_with('/'))
    throw Refusal(Code::kInvalidArgument, "bundle is no absolute path");
  if (!request->checkpoint.empty())
    throw Refusal(Code::kUnimplemented, "restoring from a checkpoint is not supported");
  if (containers_.count(request->id) != 0 || creating_.count(request->id) != 0)
    throw Refusal(Code::kAlreadyExists, cat("container ", request->id, ": already exists"));
  auto container = std::make_unique<Container>();
  std::vector<std::string> warnings;
  container->options = parse_options(request->options, warnings);
  for (const std::string& warning : warnings) log::warning(warning);
  container->id = request->id;
  container->bundle = request->bundle;
  container->root = {state_root(container->options.root, settings_.name_space), true, false};
  container->init.stdio = request->stdio;
  container->init.streams = std::make_unique<Streams>(
      loop_, request->stdio, default_delivery(), Logger::Owner{request->id, settings_.name_space});
  const Streams& streams = *container->init.streams;
  const Options& options = container->options;
  const store::RootChoice& root = container->root;
  children_.work(
      {{&streams.child(0), &streams.child(1), &streams.child(2)}, streams.gate()},
      [&] { return create_container(*request, options, root); },
      [this, call, request](Outcome outcome) { created(call, *request, std::move(outcome)); });
  creating_[request->id] = std::move(container);
}

void Service::created(Call call, const CreateTask& request, Outcome outcome) {
  auto owned = std::move(creating_.extract(request.id).mapped());
  if (!outcome.error.empty()) {
    return server_.refuse(call, Code::kUnknown, cat("OCI runtime create failed: ", outcome.error));
  }
  Container& container = *owned;
  containers_[request.id] = std::move(owned);
  container.own_pids = outcome.text.starts_with(kOwnPids);
  container.cgroup_path = outcome.text.substr(1);
  attempt([&] { adopt(container, container.init, outcome); });
  attempt([&] { watch_memory(container); });
  server_.reply(call, pid_response(static_cast<uint32_t>(container.init.pid)));
  events_.publish(create_event(request, static_cast<uint32_t>(container.init.pid)));
}

// The process is our child by now: its worker has ended. Its end must not be missed, whatever else
// goes wrong.
void Service::adopt(Container& container, Process& process, Outcome& outcome) {
  process.pid = outcome.pid;
  children_.expect(outcome.pid, [this, id = container.id, exec_id = process.id](int status) {
    process_ended(id, exec_id, status);
  });
  process.pidfd = sys::pidfd_open(outcome.pid);
  process.streams->started(std::move(outcome.descriptor));
  if (process.input_closed) process.streams->close_input();
  if (process.width != 0) process.streams->resize(process.width, process.height);
}

// ---- Start -------------------------------------------------------------------------------------

void Service::start(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  Container& container = find(request.id);
  Process& process = find(container, request.exec_id);
  if (process.starting || process.status == TaskStatus::kRunning)
    throw Refusal(Code::kFailedPrecondition, "cannot start an already running process");
  if (process.status != TaskStatus::kCreated || process.ended)
    throw Refusal(Code::kFailedPrecondition, "cannot start a process that has stopped");
  if (request.exec_id.empty()) {
    start_init(call, container);
  } else {
    start_exec(call, container, process);
  }
}

void Service::start_init(Call call, Container& container) {
  const std::string& root = container.root.path;
  const std::string id = container.id;
  children_.work(
      [&] {
        execute::start(root, id);
        return Outcome();
      },
      [this, call, id](Outcome outcome) { init_started(call, id, outcome); });
  container.init.starting = true;
}

void Service::init_started(Call call, const std::string& id, const Outcome& outcome) {
  Container& container = find(id);
  container.init.starting = false;
  if (outcome.error.empty()) {
    container.init.status = TaskStatus::kRunning;
    server_.reply(call, pid_response(static_cast<uint32_t>(container.init.pid)));
    events_.publish(start_event(id, static_cast<uint32_t>(container.init.pid)));
  } else {
    server_.refuse(call, Code::kUnknown, cat("OCI runtime start failed: ", outcome.error));
  }
  settle_ends(container);
}

// ---- Exec --------------------------------------------------------------------------------------

void Service::exec(Call call, std::string_view payload) {
  ExecTask request = parse_exec(payload);
  Container& container = find(request.id);
  if (request.exec_id.empty()) throw Refusal(Code::kInvalidArgument, "an exec needs an id");
  if (container.execs.count(request.exec_id) != 0)
    throw Refusal(Code::kAlreadyExists, cat("id ", request.exec_id, ": already exists"));
  if (container.paused) throw Error("cannot exec in a paused state");
  if (container.init.status == TaskStatus::kStopped || container.init.ended)
    throw Error("cannot exec in a stopped state");
  auto process = std::make_unique<Process>();
  process->id = request.exec_id;
  process->stdio = std::move(request.stdio);
  process->spec = std::move(request.spec.value);
  container.execs[request.exec_id] = std::move(process);
  events_.publish(exec_added_event(request.id, request.exec_id));
  server_.reply(call, "");
}

void Service::start_exec(Call call, Container& container, Process& process) {
  if (container.init.status != TaskStatus::kRunning || container.init.ended) {
    throw Refusal(Code::kFailedPrecondition,
                  cat("container ", container.id, " init process is not running"));
  }
  process.streams = std::make_unique<Streams>(loop_, process.stdio, Delivery::kPiped,
                                              Logger::Owner{container.id, settings_.name_space});
  const Streams& streams = *process.streams;
  const std::string& root = container.root.path;
  const std::string id = container.id, exec_id = process.id;
  children_.work(
      {{&streams.child(0), &streams.child(1), &streams.child(2)}, streams.gate()},
      [&] { return exec_process(root, id, process.spec, process.stdio.terminal); },
      [this, call, id, exec_id](Outcome outcome) {
        exec_started(call, id, exec_id, std::move(outcome));
      });
  process.starting = true;
  std::string().swap(process.spec);
}

void Service::exec_started(Call call, const std::string& id, const std::string& exec_id,
                           Outcome outcome) {
  constexpr uint32_t kCouldNotRun = 255;
  Container& container = find(id);
  Process& process = find(container, exec_id);
  process.starting = false;
  if (outcome.error.empty()) {
    attempt([&] { adopt(container, process, outcome); });
    process.status = TaskStatus::kRunning;
    server_.reply(call, pid_response(static_cast<uint32_t>(process.pid)));
    events_.publish(exec_started_event(id, exec_id, static_cast<uint32_t>(process.pid)));
    return;
  }
  // There was no process, so there is no exit to tell of; but whoever waits must not wait for ever.
  process.streams.reset();
  process.status = TaskStatus::kStopped;
  process.exit_status = kCouldNotRun;
  process.exited_at = sys::now();
  for (const Call& waiter : std::exchange(process.waiters, {}))
    server_.reply(waiter, wait_response(process.exit_status, process.exited_at));
  server_.refuse(call, Code::kUnknown, cat("OCI runtime exec failed: ", outcome.error));
  settle_ends(container);
}

}  // namespace coracle::shim
