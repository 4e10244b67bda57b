// containerd's task service: every rpc of containerd.task.v2.Task and v3.Task.
//
// Calls that may block (create, start, exec, delete, pause, update) go to workers (children.h) and
// are answered when these end; all others are answered at once or, Wait, when there is something to
// tell. A call that fails throws (Refusal for a code of its own), and the answer is made of that.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "shim/children.h"
#include "shim/containerd/events.h"
#include "shim/containerd/server.h"
#include "shim/containerd/task.h"
#include "shim/loop.h"

namespace coracle::shim {

class Service {
 public:
  struct Settings {
    std::string name_space;
    std::string ttrpc_address;  // path of containerd's socket for events
    std::string address;        // the shim's own, as it is told to containerd
    int idle_ms = 30'000;       // after so long without a container it ends
    std::function<void()> remove_socket;
  };
  Service(Loop& loop, sys::Fd listener, Settings settings);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Ends the loop if no container is left: on SIGTERM.
  void leave_if_idle();
  bool is_idle() const { return containers_.empty() && creating_.empty(); }

 private:
  struct Method {
    std::string_view name;
    void (Service::*run)(Call call, std::string_view payload);
  };
  static const Method kMethods[];
  void serve(Call call, const ttrpc::Request& request);
  void refuse(Call call, const std::exception& error);

  // service.cc
  void state(Call call, std::string_view payload);
  void wait(Call call, std::string_view payload);
  void kill(Call call, std::string_view payload);
  void close_io(Call call, std::string_view payload);
  void resize_pty(Call call, std::string_view payload);
  void connect(Call call, std::string_view payload);
  void shutdown(Call call, std::string_view payload);
  Container& find(const std::string& id);
  Process& find(Container& container, const std::string& exec_id);
  void leave();
  void await_container();

  // service_create.cc
  void create(Call call, std::string_view payload);
  void created(Call call, const CreateTask& request, Outcome outcome);
  void start(Call call, std::string_view payload);
  void start_init(Call call, Container& container);
  void init_made(Container& container, Outcome& outcome);
  void init_started(Call call, const std::string& id, Outcome outcome);
  void exec(Call call, std::string_view payload);
  void start_exec(Call call, Container& container, Process& process);
  void exec_started(Call call, const std::string& id, const std::string& exec_id, Outcome outcome);
  void adopt(Container& container, Process& process, Outcome& outcome);

  // service_end.cc
  void process_ended(const std::string& id, const std::string& exec_id, int wait_status);
  void settle_ends(Container& container);
  void record_end(const Container& container);
  void tell_end(Container& container, Process& process);
  void delete_task(Call call, std::string_view payload);
  void delete_exec(Call call, Container& container, Process& process);
  void delete_init(Call call, Container& container);
  void take_away(Call call, Container& container);
  void finish_delete(Call call, const std::string& id);

  // service_cgroup.cc
  void pids(Call call, std::string_view payload);
  void stats(Call call, std::string_view payload);
  void pause(Call call, std::string_view payload);
  void resume(Call call, std::string_view payload);
  void update(Call call, std::string_view payload);
  void checkpoint(Call call, std::string_view payload);
  void kill_all(const Container& container, int signal);
  void watch_memory(Container& container);
  void check_memory(Container& container);

  Loop& loop_;
  Settings settings_;
  uint32_t own_pid_;
  Children children_;
  Publisher events_;
  // Those that are being created, to be found only when they are, are in the second.
  std::map<std::string, std::unique_ptr<Container>> containers_;
  std::map<std::string, std::unique_ptr<Container>> creating_;
  bool leaving_ = false;
  uint64_t lonely_ = 0;  // the timer of await_container()
  Server server_;
};

}  // namespace coracle::shim
