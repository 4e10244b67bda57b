// The messages of containerd's task service (api/runtime/task/v2 and v3: the same but for the name
// of the package) and of its events, as far as a shim reads and writes them. Field numbers are in
// messages.cc and nowhere else.
//
// parse_... functions throw Refusal (invalid argument) for bytes that are no such message.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/sys/clock.h"
#include "shim/containerd/ttrpc.h"
#include "shim/stdio/streams.h"
#include "spec/error.h"

namespace coracle::shim {

// An error that the caller is told with a code of its own; every other error is "unknown".
class Refusal : public spec::Error {
 public:
  Refusal(ttrpc::Code code, std::string message) : spec::Error(std::move(message)), status_(code) {}
  ttrpc::Code status() const { return status_; }

 private:
  ttrpc::Code status_;
};

struct Any {
  std::string type;  // without what stands before the last slash
  std::string value;
};

struct RootfsMount {
  std::string type;
  std::string source;
  std::string target;  // below the rootfs; "": the rootfs itself
  std::vector<std::string> options;
};

struct CreateTask {
  std::string id;
  std::string bundle;
  std::vector<RootfsMount> rootfs;
  StdioPaths stdio;
  std::string checkpoint;
  std::string parent_checkpoint;
  Any options;
};
CreateTask parse_create(std::string_view bytes);

struct ExecTask {
  std::string id;
  std::string exec_id;
  StdioPaths stdio;
  Any spec;  // JSON of the process
};
ExecTask parse_exec(std::string_view bytes);

// Every other request begins with the two ids; the rest is of the one or the other.
struct TaskRequest {
  std::string id;
  std::string exec_id;
  uint32_t signal = 0;  // Kill
  bool all = false;     // Kill
  uint32_t width = 0;   // ResizePty
  uint32_t height = 0;
  bool stdin_too = false;  // CloseIO
};
enum class RequestKind { kIds, kKill, kResize, kCloseIo, kShutdown };
TaskRequest parse_task(std::string_view bytes, RequestKind kind);

struct UpdateTask {
  std::string id;
  Any resources;  // JSON of linux.resources
};
UpdateTask parse_update(std::string_view bytes);

struct CheckpointTask {
  std::string id;
  std::string path;
  Any options;
};
CheckpointTask parse_checkpoint(std::string_view bytes);

// An Any as it is sent; for fields that hold one.
Any parse_any(std::string_view bytes);
std::string any_bytes(std::string_view type, std::string_view value);

enum class TaskStatus : uint32_t { kUnknown, kCreated, kRunning, kStopped, kPaused, kPausing };

// "Has not exited": the year 1, which is what an absent time is to containerd 1.6, said explicitly
// because to 2.x it is 1970.
inline constexpr sys::Time kNever = {-62135596800, 0};

struct TaskState {
  std::string_view id;
  std::string_view bundle;
  uint32_t pid = 0;
  TaskStatus status = TaskStatus::kUnknown;
  const StdioPaths* stdio = nullptr;
  uint32_t exit_status = 0;
  sys::Time exited_at = kNever;
  std::string_view exec_id;
};
std::string state_response(const TaskState& state);
std::string pid_response(uint32_t pid);  // Create, Start
std::string delete_response(uint32_t pid, uint32_t exit_status, sys::Time exited_at);
std::string wait_response(uint32_t exit_status, sys::Time exited_at);
std::string connect_response(uint32_t shim_pid, uint32_t task_pid);
struct TaskProcess {
  pid_t pid;
  std::string_view exec_id;  // "": nothing is known of it
};
std::string pids_response(const std::vector<TaskProcess>& processes);
std::string stats_response(std::string_view metrics);

// Events: the topic, and an Any of the event.
struct Event {
  std::string topic;
  std::string any;
};
Event create_event(const CreateTask& request, uint32_t pid);
Event start_event(std::string_view id, uint32_t pid);
Event exec_added_event(std::string_view id, std::string_view exec_id);
Event exec_started_event(std::string_view id, std::string_view exec_id, uint32_t pid);
// `process`: the exec's id, or the container's for its first process.
Event exit_event(std::string_view id, std::string_view process, uint32_t pid, uint32_t exit_status,
                 sys::Time exited_at);
Event delete_event(std::string_view id, uint32_t pid, uint32_t exit_status, sys::Time exited_at);
// oom, paused and resumed have nothing but the id: "oom", "OOM".
Event plain_event(std::string_view topic, std::string_view type, std::string_view id);
Event checkpointed_event(std::string_view id, std::string_view path);

// What is sent to containerd: Events.Forward.
std::string forward_request(std::string_view name_space, sys::Time time, const Event& event);

}  // namespace coracle::shim
