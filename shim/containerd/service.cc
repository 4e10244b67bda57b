#include "shim/containerd/service.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "runtime/log.h"
#include "runtime/sys/process.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;
using ttrpc::Code;

const Service::Method Service::kMethods[] = {
    {"State", &Service::state},
    {"Create", &Service::create},
    {"Start", &Service::start},
    {"Delete", &Service::delete_task},
    {"Pids", &Service::pids},
    {"Pause", &Service::pause},
    {"Resume", &Service::resume},
    {"Checkpoint", &Service::checkpoint},
    {"Kill", &Service::kill},
    {"Exec", &Service::exec},
    {"ResizePty", &Service::resize_pty},
    {"CloseIO", &Service::close_io},
    {"Update", &Service::update},
    {"Wait", &Service::wait},
    {"Stats", &Service::stats},
    {"Connect", &Service::connect},
    {"Shutdown", &Service::shutdown},
};

Service::Service(Loop& loop, sys::Fd listener, Settings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      own_pid_(static_cast<uint32_t>(getpid())),
      children_(loop),
      events_(loop, settings_.ttrpc_address, settings_.name_space),
      server_(
          loop, std::move(listener),
          [this](Call call, const ttrpc::Request& request) { serve(call, request); },
          [this] { await_container(); }) {
  await_container();
}

// A containerd that was killed between our start and the first Create has forgotten us, or, started
// again, takes us for a task that it cannot delete. Our end makes it clean up.
void Service::await_container() {
  if (!is_idle()) return;
  loop_.cancel(lonely_);
  lonely_ = loop_.after(settings_.idle_ms, [this] {
    if (!is_idle()) return;
    log::warning(cat("no container for ", settings_.idle_ms, " ms: the shim ends"));
    leave_if_idle();
  });
}

void Service::serve(Call call, const ttrpc::Request& request) {
  if (request.service != "containerd.task.v2.Task" && request.service != "containerd.task.v3.Task")
    return server_.refuse(call, Code::kUnimplemented, cat("service ", request.service));
  for (const Method& method : kMethods) {
    if (method.name != request.method) continue;
    if (log::enabled(log::Level::kDebug)) log::debug(cat("call ", method.name));
    try {
      return (this->*method.run)(call, request.payload);
    } catch (const std::exception& e) {
      return refuse(call, e);
    }
  }
  server_.refuse(call, Code::kUnimplemented, cat("method ", request.method));
}

void Service::refuse(Call call, const std::exception& error) {
  const auto* refusal = dynamic_cast<const Refusal*>(&error);
  server_.refuse(call, refusal ? refusal->status() : Code::kUnknown, error.what());
}

Container& Service::find(const std::string& id) {
  const auto found = containers_.find(id);
  if (found == containers_.end())
    throw Refusal(Code::kNotFound, "container not created: not found");
  return *found->second;
}

Process& Service::find(Container& container, const std::string& exec_id) {
  if (exec_id.empty()) return container.init;
  const auto found = container.execs.find(exec_id);
  if (found != container.execs.end()) return *found->second;
  throw Refusal(Code::kNotFound, cat("process does not exist ", exec_id, ": not found"));
}

void Service::state(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  Container& container = find(request.id);
  const Process& process = find(container, request.exec_id);
  TaskState state;
  state.id = request.exec_id.empty() ? container.id : process.id;
  state.bundle = container.bundle;
  state.pid = static_cast<uint32_t>(process.pid);
  const bool frozen = container.paused && process.status == TaskStatus::kRunning;
  state.status = frozen ? TaskStatus::kPaused : process.status;
  state.stdio = &process.stdio;
  state.exit_status = process.exit_status;
  state.exited_at = process.exited_at;
  state.exec_id = process.id;
  server_.reply(call, state_response(state));
}

void Service::wait(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  Process& process = find(find(request.id), request.exec_id);
  if (process.status == TaskStatus::kStopped)
    return server_.reply(call, wait_response(process.exit_status, process.exited_at));
  process.waiters.push_back(call);
}

// As the parent of the process we are who reaps it, so its number is its own until we did.
void Service::kill(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kKill);
  Container& container = find(request.id);
  Process& process = find(container, request.exec_id);
  if (process.status == TaskStatus::kStopped || process.ended)
    throw Refusal(Code::kNotFound, "process already finished: not found");
  if (process.pid == 0)
    throw Refusal(Code::kFailedPrecondition, "process not created: failed precondition");
  const auto signal = static_cast<int>(request.signal);
  const bool first = request.exec_id.empty();
  // Without a pid namespace of its own, the end of the first process ends no other.
  const bool all = first && !container.cgroup_path.empty() &&
                   (request.all || (signal == SIGKILL && !container.own_pids));
  if (all) {
    kill_all(container, signal);
  } else if (int r = sys::pidfd_send_signal(process.pidfd, signal)) {
    if (r == -ESRCH) throw Refusal(Code::kNotFound, "process already finished: not found");
    throw Error(cat("send signal ", signal), r);
  }
  server_.reply(call, "");
}

void Service::close_io(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kCloseIo);
  Process& process = find(find(request.id), request.exec_id);
  process.input_closed = true;
  if (process.streams) process.streams->close_input();
  server_.reply(call, "");
}

void Service::resize_pty(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kResize);
  Process& process = find(find(request.id), request.exec_id);
  process.width = request.width;
  process.height = request.height;
  if (process.streams) process.streams->resize(request.width, request.height);
  server_.reply(call, "");
}

// Never fails: after a restart containerd only wants to know whether somebody is there.
void Service::connect(Call call, std::string_view payload) {
  const TaskRequest request = parse_task(payload, RequestKind::kIds);
  const auto found = containers_.find(request.id);
  const pid_t task = found == containers_.end() ? 0 : found->second->init.pid;
  server_.reply(call, connect_response(own_pid_, static_cast<uint32_t>(task)));
}

void Service::shutdown(Call call, std::string_view payload) {
  parse_task(payload, RequestKind::kShutdown);
  const bool idle = is_idle();
  // Before the answer: whoever finds the socket afterwards must not find one that is about to go.
  if (idle) settings_.remove_socket();
  server_.reply(call, "");
  if (idle) leave();
}

void Service::leave_if_idle() {
  if (!is_idle()) {
    log::warning("asked to end, but containers are left");
    return;
  }
  settings_.remove_socket();
  leave();
}

// containerd gives up on Shutdown after 3 s, and no event is worth more.
void Service::leave() {
  constexpr int kLastEventsMs = 2000;
  if (leaving_) return;
  leaving_ = true;
  server_.stop_listening();
  events_.when_empty(kLastEventsMs, [this] { loop_.stop(); });
}

}  // namespace coracle::shim
