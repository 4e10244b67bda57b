// What is asked of a container's cgroup: who is in it, what it has used, limits, freezing, OOM.
#include <signal.h>

#include <cerrno>
#include <utility>

#include "runtime/cgroup/control.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/commands/container_cgroup.h"
#include "runtime/commands/criu_options.h"
#include "runtime/container/limits.h"
#include "runtime/log.h"
#include "runtime/store/container.h"
#include "shim/containerd/metrics.h"
#include "shim/containerd/service.h"
#include "spec/json.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;
using ttrpc::Code;

namespace {

cgroup::Cgroup open_cgroup(const Container& container) {
  if (container.cgroup_path.empty()) throw Error("the container was made without a cgroup");
  return cgroup::open(cgroup::open_mount(), container.cgroup_path);
}

void set_limits(const Container& container, const std::string& json) {
  const spec::Document document = spec::Document::parse_resources(json, "resources");
  try {
    const auto kept = store::Container::open(container.root.path, container.id);
    container::change_limits(kept.record(), document.resources());
  } catch (Error& e) {
    document.locate(e);
    throw;
  }
}

checkpoint::CheckpointRequest checkpoint_request(const Container& container,
                                                 const CheckpointTask& task) {
  const CheckpointOptions options = parse_checkpoint_options(task.options);
  commands::ImageFlags flags;
  const std::string work_path =
      options.work_path.empty() ? container.criu_work() : options.work_path;
  flags.image_path = task.path;
  flags.work_path = work_path;
  flags.tcp_established = options.open_tcp;
  flags.ext_unix_sk = options.external_unix_sockets;
  flags.shell_job = options.terminal;
  flags.file_locks = options.file_locks;
  for (const std::string& name : options.empty_namespaces) flags.empty_ns.push_back(name);
  if (!options.cgroups_mode.empty()) flags.manage_cgroups_mode = options.cgroups_mode;
  checkpoint::CheckpointRequest request;
  request.root = container.root.path;
  request.id = container.id;
  request.images = commands::image_options(flags);
  request.leave_running = !options.exit;
  return request;
}

}  // namespace

void Service::kill_all(const Container& container, int signal) {
  store::Record record;
  record.cgroup_path = container.cgroup_path;
  if (signal != SIGKILL) return commands::signal_all(record, signal);
  const cgroup::Cgroup cgroup = cgroup::try_open(cgroup::open_mount(), container.cgroup_path);
  if (cgroup.dir) cgroup::kill_all(cgroup);  // else nobody is left in it
}

// Never empty, an ended container's neither: containerd from 1.7 on, when it is started again,
// takes a shim without processes for a leaked one and deletes it, and the exit status with it.
void Service::pids(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  const Container& container = find(request.id);
  store::Record record;
  record.cgroup_path = container.cgroup_path;
  std::vector<pid_t> pids;
  if (!container.cgroup_path.empty()) {
    pids = commands::processes(record, "pids");
  }
  if (pids.empty()) pids.push_back(container.init.pid);
  std::vector<TaskProcess> processes;
  for (pid_t pid : pids) {
    TaskProcess& process = processes.emplace_back(TaskProcess{pid, ""});
    for (const auto& [id, exec] : container.execs)
      if (exec->pid == pid && exec->is_live()) process.exec_id = id;
  }
  server_.reply(call, pids_response(processes));
}

// Also of a container that has ended, until it is deleted.
void Service::stats(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  const Container& container = find(request.id);
  std::string metrics;
  if (!container.cgroup_path.empty()) metrics = metrics_of(open_cgroup(container));
  server_.reply(call, stats_response(metrics));
}

void Service::pause(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  Container& container = find(request.id);
  if (container.init.status != TaskStatus::kRunning || container.paused)
    throw Error("cannot pause: the container is not running");
  open_cgroup(container);
  children_.work(
      [&container] {
        cgroup::freeze(open_cgroup(container));
        return Outcome();
      },
      [this, call, id = container.id](const Outcome& outcome) {
        if (!outcome.error.empty()) return server_.refuse(call, Code::kUnknown, outcome.error);
        Container& c = find(id);
        c.paused = !c.init.ended && c.init.status == TaskStatus::kRunning;
        events_.publish(plain_event("paused", "Paused", id));
        server_.reply(call, "");
      });
}

void Service::resume(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  Container& container = find(request.id);
  if (!container.paused) throw Error("cannot resume: the container is not paused");
  cgroup::thaw(open_cgroup(container));
  container.paused = false;
  events_.publish(plain_event("resumed", "Resumed", request.id));
  server_.reply(call, "");
}

// In a worker: lowering a memory limit waits until the kernel has taken the memory back.
void Service::update(Call call, std::string_view payload) {
  const auto request = std::make_shared<UpdateTask>(parse_update(payload));
  const Container& container = find(request->id);
  if (container.cgroup_path.empty()) throw Error("the container was made without a cgroup");
  children_.work(
      [&container, &request] {
        set_limits(container, request->resources.value);
        return Outcome();
      },
      [this, call](const Outcome& outcome) {
        if (!outcome.error.empty()) return server_.refuse(call, Code::kUnknown, outcome.error);
        server_.reply(call, "");
      });
}

// In a worker, with criu. A container that does not go on afterwards ends like any other: our child
// is killed.
void Service::checkpoint(Call call, std::string_view payload) {
  const CheckpointTask request = parse_checkpoint(payload);
  const Container& container = find(request.id);
  if (container.init.status != TaskStatus::kRunning || container.init.ended)
    throw Error("cannot checkpoint: the container is not running");
  if (!request.path.starts_with('/'))
    throw Refusal(Code::kInvalidArgument, "the checkpoint's path is not absolute");
  const checkpoint::CheckpointRequest what = checkpoint_request(container, request);
  children_.work(
      [&what] {
        checkpoint::checkpoint(what);
        return Outcome();
      },
      [this, call, id = request.id, path = request.path](const Outcome& outcome) {
        if (!outcome.error.empty()) {
          return server_.refuse(call, Code::kUnknown,
                                cat("OCI runtime checkpoint failed: ", outcome.error));
        }
        events_.publish(checkpointed_event(id, path));
        server_.reply(call, "");
      });
}

// ---- OOM ---------------------------------------------------------------------------------------

void Service::watch_memory(Container& container) {
  if (container.cgroup_path.empty()) return;
  container.oom.emplace(open_cgroup(container));
  if (!container.oom->memory_events()) return container.oom.reset();  // no memory controller
  container.oom_watch = Watch(loop_, container.oom->memory_events(), EPOLLPRI,
                              [this, id = container.id](uint32_t) { check_memory(find(id)); });
}

void Service::check_memory(Container& container) {
  if (!container.oom) return;
  for (;;) {
    const cgroup::Watch::Event event = container.oom->wait(0);
    // The cgroup is empty or gone: nothing more will be told, or the same for ever.
    if (event == cgroup::Watch::Event::kEmpty) container.oom_watch.reset();
    if (event != cgroup::Watch::Event::kOom) return;
    events_.publish(plain_event("oom", "OOM", container.id));
  }
}

}  // namespace coracle::shim
