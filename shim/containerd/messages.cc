#include "shim/containerd/messages.h"

#include <utility>

#include "runtime/sys/protobuf.h"
#include "spec/text.h"

namespace coracle::shim {

using sys::ProtoReader;
using sys::ProtoWriter;
using ttrpc::Code;

namespace {

void check(const ProtoReader& in, const char* what) {
  if (!in.ok()) throw Refusal(Code::kInvalidArgument, spec::cat("malformed message: ", what));
}

RootfsMount parse_mount(std::string_view bytes) {
  RootfsMount out;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) out.type = in.bytes();
    if (in.field() == 2) out.source = in.bytes();
    if (in.field() == 3) out.target = in.bytes();
    if (in.field() == 4) out.options.emplace_back(in.bytes());
  }
  check(in, "containerd.types.Mount");
  return out;
}

ProtoWriter mount_message(const RootfsMount& mount) {
  ProtoWriter out;
  out.bytes(1, mount.type).bytes(2, mount.source).bytes(3, mount.target);
  for (const std::string& option : mount.options) out.message(4, option);
  return out;
}

ProtoWriter time_message(sys::Time time) {
  ProtoWriter out;
  out.signed_number(1, time.seconds).signed_number(2, time.nanoseconds);
  return out;
}

Event event(std::string_view topic, std::string_view type, const ProtoWriter& message) {
  return {spec::cat("/tasks/", topic),
          any_bytes(spec::cat("containerd.events.Task", type), message.text())};
}

}  // namespace

Any parse_any(std::string_view bytes) {
  Any out;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) out.type = in.bytes();
    if (in.field() == 2) out.value = in.bytes();
  }
  check(in, "google.protobuf.Any");
  out.type.erase(0, out.type.rfind('/') + 1);  // npos + 1 is 0
  return out;
}

std::string any_bytes(std::string_view type, std::string_view value) {
  return ProtoWriter().bytes(1, type).bytes(2, value).take();
}

CreateTask parse_create(std::string_view bytes) {
  CreateTask out;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) out.id = in.bytes();
    if (in.field() == 2) out.bundle = in.bytes();
    if (in.field() == 3) out.rootfs.push_back(parse_mount(in.bytes()));
    if (in.field() == 4) out.stdio.terminal = in.number() != 0;
    if (in.field() == 5) out.stdio.in = in.bytes();
    if (in.field() == 6) out.stdio.out = in.bytes();
    if (in.field() == 7) out.stdio.err = in.bytes();
    if (in.field() == 8) out.checkpoint = in.bytes();
    if (in.field() == 9) out.parent_checkpoint = in.bytes();
    if (in.field() == 10) out.options = parse_any(in.bytes());
  }
  check(in, "CreateTaskRequest");
  return out;
}

ExecTask parse_exec(std::string_view bytes) {
  ExecTask out;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) out.id = in.bytes();
    if (in.field() == 2) out.exec_id = in.bytes();
    if (in.field() == 3) out.stdio.terminal = in.number() != 0;
    if (in.field() == 4) out.stdio.in = in.bytes();
    if (in.field() == 5) out.stdio.out = in.bytes();
    if (in.field() == 6) out.stdio.err = in.bytes();
    if (in.field() == 7) out.spec = parse_any(in.bytes());
  }
  check(in, "ExecProcessRequest");
  return out;
}

TaskRequest parse_task(std::string_view bytes, RequestKind kind) {
  TaskRequest out;
  ProtoReader in(bytes);
  while (in.next()) {
    const uint32_t field = in.field();
    if (field == 1) out.id = in.bytes();
    if (field == 2 && kind != RequestKind::kShutdown) out.exec_id = in.bytes();
    if (field == 3 && kind == RequestKind::kKill) out.signal = static_cast<uint32_t>(in.number());
    if (field == 4 && kind == RequestKind::kKill) out.all = in.number() != 0;
    if (field == 3 && kind == RequestKind::kResize) out.width = static_cast<uint32_t>(in.number());
    if (field == 4 && kind == RequestKind::kResize) out.height = static_cast<uint32_t>(in.number());
    if (field == 3 && kind == RequestKind::kCloseIo) out.stdin_too = in.number() != 0;
  }
  check(in, "task request");
  return out;
}

UpdateTask parse_update(std::string_view bytes) {
  UpdateTask out;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) out.id = in.bytes();
    if (in.field() == 2) out.resources = parse_any(in.bytes());
  }
  check(in, "UpdateTaskRequest");
  return out;
}

CheckpointTask parse_checkpoint(std::string_view bytes) {
  CheckpointTask out;
  ProtoReader in(bytes);
  while (in.next()) {
    if (in.field() == 1) out.id = in.bytes();
    if (in.field() == 2) out.path = in.bytes();
    if (in.field() == 3) out.options = parse_any(in.bytes());
  }
  check(in, "CheckpointTaskRequest");
  return out;
}

std::string state_response(const TaskState& state) {
  ProtoWriter out;
  out.bytes(1, state.id).bytes(2, state.bundle).number(3, state.pid);
  out.number(4, static_cast<uint32_t>(state.status));
  out.bytes(5, state.stdio->in).bytes(6, state.stdio->out).bytes(7, state.stdio->err);
  out.number(8, state.stdio->terminal ? 1 : 0).number(9, state.exit_status);
  return out.message(10, time_message(state.exited_at)).bytes(11, state.exec_id).take();
}

std::string pid_response(uint32_t pid) { return ProtoWriter().number(1, pid).take(); }

std::string delete_response(uint32_t pid, uint32_t exit_status, sys::Time exited_at) {
  ProtoWriter out;
  return out.number(1, pid).number(2, exit_status).message(3, time_message(exited_at)).take();
}

std::string wait_response(uint32_t exit_status, sys::Time exited_at) {
  return ProtoWriter().number(1, exit_status).message(2, time_message(exited_at)).take();
}

std::string connect_response(uint32_t shim_pid, uint32_t task_pid) {
  return ProtoWriter().number(1, shim_pid).number(2, task_pid).take();
}

std::string pids_response(const std::vector<TaskProcess>& processes) {
  constexpr char kDetails[] = "containerd.runc.v1.ProcessDetails";
  ProtoWriter out;
  for (const TaskProcess& process : processes) {
    ProtoWriter info;
    info.number(1, static_cast<uint32_t>(process.pid));
    if (!process.exec_id.empty()) {
      const std::string details = ProtoWriter().bytes(1, process.exec_id).take();
      info.message(2, any_bytes(kDetails, details));
    }
    out.message(1, info);
  }
  return out.take();
}

std::string stats_response(std::string_view metrics) {
  return ProtoWriter().message(1, any_bytes("io.containerd.cgroups.v2.Metrics", metrics)).take();
}

// ---- events ------------------------------------------------------------------------------------

Event create_event(const CreateTask& request, uint32_t pid) {
  const StdioPaths& stdio = request.stdio;
  ProtoWriter io;
  io.bytes(1, stdio.in).bytes(2, stdio.out).bytes(3, stdio.err).number(4, stdio.terminal ? 1 : 0);
  ProtoWriter out;
  out.bytes(1, request.id).bytes(2, request.bundle);
  for (const RootfsMount& mount : request.rootfs) out.message(3, mount_message(mount));
  return event("create", "Create", out.message(4, io).bytes(5, request.checkpoint).number(6, pid));
}

Event start_event(std::string_view id, uint32_t pid) {
  return event("start", "Start", ProtoWriter().bytes(1, id).number(2, pid));
}

Event exec_added_event(std::string_view id, std::string_view exec_id) {
  return event("exec-added", "ExecAdded", ProtoWriter().bytes(1, id).bytes(2, exec_id));
}

Event exec_started_event(std::string_view id, std::string_view exec_id, uint32_t pid) {
  return event("exec-started", "ExecStarted",
               ProtoWriter().bytes(1, id).bytes(2, exec_id).number(3, pid));
}

Event exit_event(std::string_view id, std::string_view process, uint32_t pid, uint32_t exit_status,
                 sys::Time exited_at) {
  ProtoWriter out;
  out.bytes(1, id).bytes(2, process).number(3, pid).number(4, exit_status);
  return event("exit", "Exit", out.message(5, time_message(exited_at)));
}

Event delete_event(std::string_view id, uint32_t pid, uint32_t exit_status, sys::Time exited_at) {
  ProtoWriter out;
  out.bytes(1, id).number(2, pid).number(3, exit_status).message(4, time_message(exited_at));
  return event("delete", "Delete", out);
}

Event plain_event(std::string_view topic, std::string_view type, std::string_view id) {
  return event(topic, type, ProtoWriter().bytes(1, id));
}

Event checkpointed_event(std::string_view id, std::string_view path) {
  return event("checkpointed", "Checkpointed", ProtoWriter().bytes(1, id).bytes(2, path));
}

std::string forward_request(std::string_view name_space, sys::Time time, const Event& event) {
  ProtoWriter envelope;
  envelope.message(1, time_message(time)).bytes(2, name_space).bytes(3, event.topic);
  return ProtoWriter().message(1, envelope.message(4, event.any)).take();
}

}  // namespace coracle::shim
