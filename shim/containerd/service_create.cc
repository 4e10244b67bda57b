// Create, Exec and Start: how processes come to be.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/container/creation.h"
#include "runtime/container/verbs.h"
#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "runtime/sys/protobuf.h"
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

// What a worker tells of a container that it has made.
std::string summary_of(const store::Record& record, const StreamOwner& owner) {
  sys::ProtoWriter out;
  out.number(1, record.own_pids ? 1 : 0).bytes(2, record.cgroup_path);
  return out.number(3, owner.uid).number(4, owner.gid).take();
}

void take_summary(std::string_view summary, Container& container) {
  sys::ProtoReader in(summary);
  while (in.next()) {
    if (in.field() == 1) container.own_pids = in.number() != 0;
    if (in.field() == 2) container.cgroup_path = in.bytes();
    if (in.field() == 3) container.owner.uid = static_cast<uint32_t>(in.number());
    if (in.field() == 4) container.owner.gid = static_cast<uint32_t>(in.number());
  }
}

// 0 if root is not mapped.
uint32_t host_root(const std::vector<spec::LinuxIDMapping>& mappings) {
  for (const spec::LinuxIDMapping& mapping : mappings)
    if (mapping.containerID == 0 && mapping.size > 0) return mapping.hostID;
  return 0;
}

// Whom the streams are given to: who the options say; else, with a user namespace, its root, since
// what is not mapped there cannot be given to the container's user by its init.
StreamOwner owner_of_streams(const Options& options, const spec::Spec& spec) {
  if (options.io_uid != 0 || options.io_gid != 0) return {options.io_uid, options.io_gid};
  if (!spec.linux) return {};
  return {host_root(spec.linux->uidMappings), host_root(spec.linux->gidMappings)};
}

// The worker's own, as its process gets them.
void give_streams(const StreamOwner& owner) {
  if (owner.uid == 0 && owner.gid == 0) return;
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && fchown(fd, owner.uid, owner.gid) < 0)
      throw Error(cat("give descriptor ", fd, " to ", owner.uid, ":", owner.gid), errno);
  }
}

container::CreateRequest create_request(const CreateTask& task, const Options& options,
                                        const store::RootChoice& root, const std::string& address) {
  container::CreateRequest request;
  request.shim = address;
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
Outcome make_container(const CreateTask& task, const Options& options,
                       const store::RootChoice& root, const std::string& address) {
  const container::CreateRequest request = create_request(task, options, root, address);
  container::Creation creation(request, false);
  const StreamOwner owner = owner_of_streams(options, creation.spec());
  give_streams(owner);
  creation.make();
  creation.commit();
  Outcome outcome;
  outcome.pid = creation.child().pid;
  outcome.descriptor = std::move(creation.console());
  outcome.text = summary_of(creation.container().record(), owner);
  return outcome;
}

// One that is to be restored gets its processes at the start.
Outcome create_container(const CreateTask& task, const Options& options,
                         const store::RootChoice& root, const std::string& address) {
  write_state_root(task.bundle, root.path);
  const std::string rootfs = cat(task.bundle, "/rootfs");
  mount_rootfs(task.rootfs, rootfs);
  if (!task.checkpoint.empty()) return {};
  try {
    return make_container(task, options, root, address);
  } catch (...) {
    if (!task.rootfs.empty()) unmount_rootfs(rootfs);
    throw;
  }
}

Outcome restore_container(const Container& container, const std::string& work_path,
                          const std::string& address) {
  const CreateTask task = {
      .id = container.id, .bundle = container.bundle, .rootfs = {}, .stdio = container.init.stdio};
  checkpoint::RestoreRequest request;
  request.create = create_request(task, container.options, container.root, address);
  request.create.detach = true;
  request.images.image_path = container.checkpoint;
  request.images.work_path = work_path;
  container::Started started = checkpoint::restore_detached(request);
  const StreamOwner owner = {container.options.io_uid, container.options.io_gid};
  const auto made = store::Container::open(container.root.path, container.id);
  Outcome outcome;
  outcome.pid = started.pid;
  outcome.descriptor = std::move(started.console);
  outcome.text = summary_of(made.record(), owner);
  return outcome;
}

Outcome exec_process(const Container& container, const std::string& spec, bool terminal) {
  spec::Document document = spec::Document::parse_process(spec, "process");
  document.spec.process->terminal = terminal;
  give_streams(container.owner);
  container::ExecRequest request;
  request.root = container.root.path;
  request.id = container.id;
  request.process = &document.process();
  container::Started started = container::exec_detached(request);
  Outcome outcome;
  outcome.pid = started.pid;
  outcome.descriptor = std::move(started.console);
  return outcome;
}

Children::Files files_of(const Streams& streams) {
  return {{&streams.child(0), &streams.child(1), &streams.child(2)},
          streams.gate(),
          streams.is_gate_strict()};
}

}  // namespace

// ---- Create ------------------------------------------------------------------------------------

void Service::create(Call call, std::string_view payload) {
  auto request = std::make_shared<CreateTask>(parse_create(payload));
  store::check_id(request->id);
  if (!request->bundle.starts_with('/'))
    throw Refusal(Code::kInvalidArgument, "bundle is no absolute path");
  if (leaving_) throw Refusal(Code::kUnavailable, "the shim was told to end, and ends");
  if (containers_.count(request->id) != 0 || creating_.count(request->id) != 0)
    throw Refusal(Code::kAlreadyExists, cat("container ", request->id, ": already exists"));
  auto container = std::make_unique<Container>();
  std::vector<std::string> warnings;
  container->options = parse_options(request->options, warnings);
  for (const std::string& warning : warnings) log::warning(warning);
  container->id = request->id;
  container->bundle = request->bundle;
  container->root = {state_root(container->options.root, settings_.name_space), true, false};
  container->checkpoint = request->checkpoint;
  container->init.stdio = request->stdio;
  container->init.streams = std::make_unique<Streams>(
      loop_, request->stdio, default_delivery(), Logger::Owner{request->id, settings_.name_space});
  const Streams& streams = *container->init.streams;
  const Options& options = container->options;
  const store::RootChoice& root = container->root;
  children_.work(
      files_of(streams),
      [&] { return create_container(*request, options, root, settings_.address); },
      [this, call, request](Outcome outcome) { created(call, *request, std::move(outcome)); });
  creating_[request->id] = std::move(container);
}

void Service::created(Call call, const CreateTask& request, Outcome outcome) {
  auto owned = std::move(creating_.extract(request.id).mapped());
  if (!outcome.error.empty()) {
    await_container();
    return server_.refuse(call, Code::kUnknown, cat("OCI runtime create failed: ", outcome.error));
  }
  Container& container = *owned;
  containers_[request.id] = std::move(owned);
  if (outcome.pid != 0) init_made(container, outcome);
  server_.reply(call, pid_response(static_cast<uint32_t>(container.init.pid)));
  events_.publish(create_event(request, static_cast<uint32_t>(container.init.pid)));
}

void Service::init_made(Container& container, Outcome& outcome) {
  take_summary(outcome.text, container);
  attempt([&] { adopt(container, container.init, outcome); });
  attempt([&] { watch_memory(container); });
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
  auto done = [this, call, id = container.id](Outcome outcome) {
    init_started(call, id, std::move(outcome));
  };
  if (container.init.pid == 0) {
    const std::string& chosen = container.options.criu_work_path;
    const std::string work_path = chosen.empty() ? container.criu_work() : chosen;
    children_.work(
        files_of(*container.init.streams),
        [&] { return restore_container(container, work_path, settings_.address); },
        std::move(done));
  } else {
    children_.work(
        [&] {
          container::start(container.root.path, container.id, "");
          return Outcome();
        },
        std::move(done));
  }
  container.init.starting = true;
}

void Service::init_started(Call call, const std::string& id, Outcome outcome) {
  Container& container = find(id);
  container.init.starting = false;
  if (outcome.error.empty()) {
    if (outcome.pid != 0) init_made(container, outcome);
    container.init.status = TaskStatus::kRunning;
    server_.reply(call, pid_response(static_cast<uint32_t>(container.init.pid)));
    events_.publish(start_event(id, static_cast<uint32_t>(container.init.pid)));
  } else {
    const char* verb = container.init.pid == 0 ? "restore" : "start";
    server_.refuse(call, Code::kUnknown, cat("OCI runtime ", verb, " failed: ", outcome.error));
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
  const std::string id = container.id, exec_id = process.id;
  children_.work(
      files_of(streams),
      [&] { return exec_process(container, process.spec, process.stdio.terminal); },
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
