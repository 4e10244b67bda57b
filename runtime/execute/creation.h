// The parent's side of making a container: bundle in, an init that waits for `start` out.
//
//   Creation c(request, ...);   parse, validate, plan; nothing of the kernel's is touched
//   c.make();                   record, then every step of the plan up to "created"
//   c.commit();                 from here on the container lives without its creator
//
// If make() or commit() throws, everything that was made is taken away again before the exception
// goes on; if the process dies instead, the record names all of it for `delete`.
#pragma once

#include <string>
#include <vector>

#include "runtime/cgroup/fs.h"
#include "runtime/execute/execute.h"
#include "runtime/execute/foreground.h"
#include "runtime/execute/host_steps.h"
#include "runtime/execute/launch.h"
#include "runtime/execute/net_devices.h"
#include "runtime/execute/notify.h"
#include "runtime/execute/unit.h"
#include "runtime/plan/plan.h"
#include "runtime/store/container.h"
#include "runtime/systemd/manager.h"
#include "runtime/systemd/placeholder.h"
#include "spec/json.h"

namespace coracle::execute {

class Creation {
 public:
  // `foreground`: start follows in this process, over the sync socket.
  Creation(const CreateRequest& request, bool foreground);
  Creation(const Creation&) = delete;
  Creation& operator=(const Creation&) = delete;

  void make();
  // For `restore`, in place of make(): the record and the cgroup, but for limits of processes and
  // memory, and no process.
  void make_place();
  // The process that came into being there, a child of ours: it is on record from here on.
  void adopt(pid_t pid);
  // It is complete: the record says so, and the pid file is written.
  void announce();
  // Whoever made it is gone: the limits that bound both of them are the container's alone.
  void set_bounds();
  // `create` ends with it; with `foreground` it is also the start.
  void commit();
  // After a foreground commit: returns when the program runs, throws if it could not be executed.
  void await_program();
  // Takes away whatever was made: the way out of any failure.
  void undo() noexcept;

  const spec::Spec& spec() const { return document_.spec; }
  store::Container& container() { return *container_; }
  Child& child() { return child_; }
  const sys::Fd& cgroup_mount() const { return cgroup_mount_; }
  const cgroup::Cgroup& cgroup() const { return cgroup_; }
  // Whether something in the container's cgroup was; empty without a memory controller.
  std::optional<bool> was_oom_killed() const;
  // The plan in words.
  std::string planned(bool json) const;
  // The pty master, when there is a terminal and no console socket took it.
  sys::Fd& console() { return console_; }

 private:
  void plan();
  void plan_cgroup(plan::Request& request);
  void record_intent();
  void note_process();
  void walk();
  void do_step(const plan::Step& step);
  void dispatch(const plan::Step& step);
  void await(plan::MessageKind kind, uint16_t index, sys::Fd* descriptor);
  [[noreturn]] void init_is_gone();

  // Steps of the parent, by payload; steps_parent.cc
  void run(const plan::CgroupMake& p);
  void run(const plan::SetUnitProperty& p);
  void run(const plan::StartUnit& p);
  void run(const plan::CgroupWrite& p);
  void run(const plan::CgroupDevices& p);
  void run(const plan::CgroupDelegate& p);
  void run(const plan::CgroupLeaf& p);
  void run(const plan::IdmapUserns& p) { host_steps_.run(p); }
  void run(const plan::IdmapTree& p);
  void run(const plan::OpenNamespace& p) { host_steps_.run(p); }
  void run(const plan::Clone& p);
  void run(const plan::IdMaps& p);
  void run(const plan::Hooks& p);
  void run(const plan::NetDevice& p);
  void run(const plan::IntelRdt& p);
  void run(const plan::Meet&) {}  // the walk's own
  void run(const plan::ConsoleSend& p);
  void run(const plan::SeccompListener& p);
  void run(const plan::RecordCreated& p);
  void start_unit(const std::string& unit);

  const CreateRequest& request_;
  plan::Host host_;
  const bool foreground_;
  spec::Document document_;
  std::string config_text_;
  std::string rootfs_;  // absolute
  std::string cgroup_path_;
  UnitPlan unit_;
  plan::Warnings warnings_;
  std::vector<unsigned char> block_;
  HostSteps host_steps_;
  sys::Fd cgroup_mount_;
  cgroup::Cgroup cgroup_;
  std::optional<systemd::Manager> systemd_;  // until the unit is started
  std::vector<plan::UnitProperty> unit_properties_;
  std::optional<systemd::Placeholder> placeholder_;  // until the init is born
  NotifyMount notify_mount_;
  bool has_notify_ = false;
  bool ask_systemd_ = true;  // on the way out
  sys::Fd start_socket_;
  sys::Fd console_;
  std::optional<store::Container> container_;
  Child child_;
  NetDevices net_devices_;
  uint16_t await_start_ = 0;  // index of the AwaitStart step
  uint16_t current_ = 0;
};

// Stays with a container that runs in the foreground until its end; takes it away then, or with
// `keep` writes down how it ended. `notifier`: null, or what to relay meanwhile. Its exit status.
// Throws spec::Error.
int see_out(Creation& creation, const SignalGate& gate, bool keep, Notifier* notifier);

}  // namespace coracle::execute
