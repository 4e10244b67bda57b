// How processes end, and what is told of it: a start before its exit, every exec's exit before that
// of the first process, the exit before the deletion.
#include <signal.h>

#include <utility>

#include "runtime/sys/process.h"
#include "shim/containerd/bundle.h"
#include "shim/containerd/service.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::Error;
using ttrpc::Code;

void Service::process_ended(const std::string& id, const std::string& exec_id, int wait_status) {
  Container& container = find(id);
  Process& process = find(container, exec_id);
  process.ended = true;
  process.exit_status = static_cast<uint32_t>(exit_status_of(wait_status));
  process.exited_at = sys::now();
  process.streams->ended();
  if (exec_id.empty()) {
    container.paused = false;
    // What lives on of a container whose processes are in a pid namespace of others.
    if (!container.own_pids && !container.cgroup_path.empty())
      attempt([&] { kill_all(container, SIGKILL); });
  }
  settle_ends(container);
}

// Tells of what has ended and may be told of by now.
void Service::settle_ends(Container& container) {
  bool live = false;
  for (auto& [id, process] : container.execs) {
    if (process->ended && !process->starting) tell_end(container, *process);
    live = live || process->is_live();
  }
  if (container.init.ended && !container.init.starting && !live) {
    attempt([&] { check_memory(container); });
    container.oom_watch.reset();
    // Should we die before containerd has been told, `delete` tells it.
    attempt([&] { record_end(container); });
    tell_end(container, container.init);
  }
}

void Service::record_end(const Container& container) {
  const Process& init = container.init;
  write_exit(container.bundle, {static_cast<uint32_t>(init.pid), init.exit_status, init.exited_at});
}

void Service::tell_end(Container& container, Process& process) {
  process.ended = false;
  process.status = TaskStatus::kStopped;
  process.pidfd.reset();
  const std::string& name = process.id.empty() ? container.id : process.id;
  for (const Call& waiter : std::exchange(process.waiters, {}))
    server_.reply(waiter, wait_response(process.exit_status, process.exited_at));
  events_.publish(exit_event(container.id, name, static_cast<uint32_t>(process.pid),
                             process.exit_status, process.exited_at));
  if (process.after_end) std::exchange(process.after_end, nullptr)();
}

// ---- Delete ------------------------------------------------------------------------------------

void Service::delete_task(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  Container& container = find(request.id);
  if (request.exec_id.empty()) return delete_init(call, container);
  delete_exec(call, container, find(container, request.exec_id));
}

void Service::delete_exec(Call call, Container& container, Process& process) {
  if (process.is_live()) throw Error("cannot delete a running process");
  if (std::exchange(process.deleting, true)) throw Error("the process is being deleted");
  auto finish = [this, call, id = container.id, exec_id = process.id] {
    Container& c = find(id);
    const Process& p = find(c, exec_id);
    const std::string response =
        delete_response(static_cast<uint32_t>(p.pid), p.exit_status, p.exited_at);
    c.execs.erase(exec_id);
    server_.reply(call, response);
  };
  if (!process.streams) return finish();
  // Later, because with the streams goes what calls it.
  process.streams->when_drained([this, finish] { loop_.after(0, finish); });
}

// Created, but never started: its init waits, and is ended first. One that was to be restored has
// no init yet.
void Service::delete_init(Call call, Container& container) {
  Process& init = container.init;
  if (container.paused) throw Error("cannot delete a paused process");
  if (init.starting || init.status == TaskStatus::kRunning)
    throw Error("cannot delete a running process");
  if (std::exchange(init.deleting, true)) throw Error("the container is being deleted");
  auto drain = [this, call, id = container.id] {
    find(id).init.streams->when_drained([this, call, id] { take_away(call, find(id)); });
  };
  if (init.status == TaskStatus::kStopped || init.pid == 0) return drain();
  init.after_end = drain;
  sys::pidfd_send_signal(init.pidfd, SIGKILL);  // ended meanwhile: as wanted
}

void Service::take_away(Call call, Container& container) {
  const std::string id = container.id;
  children_.work(
      [&container] {
        remove_container(container.root.path, container.id, container.rootfs());
        return Outcome();
      },
      [this, call, id](const Outcome& outcome) {
        if (outcome.error.empty()) return finish_delete(call, id);
        find(id).init.deleting = false;
        server_.refuse(call, Code::kUnknown, outcome.error);
      });
}

void Service::finish_delete(Call call, const std::string& id) {
  const auto container = std::move(containers_.extract(id).mapped());
  const Process& init = container->init;
  const auto pid = static_cast<uint32_t>(init.pid);
  server_.reply(call, delete_response(pid, init.exit_status, init.exited_at));
  events_.publish(delete_event(id, pid, init.exit_status, init.exited_at));
  await_container();
}

}  // namespace coracle::shim
