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

#include "runtime/container/foreground.h"
#include "runtime/container/notify.h"
#include "runtime/container/verbs.h"
#include "runtime/engine/unit.h"
#include "runtime/engine/walk.h"
#include "runtime/plan/plan.h"
#include "runtime/store/container.h"
#include "spec/json.h"

namespace coracle::container {

class Creation {
 public:
  // `start_follows` in this process, over the sync socket.
  Creation(const CreateRequest& request, bool start_follows);
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
  // `create` ends with it; where the start follows it is also that.
  void commit();
  // After the commit of a start: returns when the program runs, throws if it could not be executed.
  void await_program() { walk_->await_program(); }
  // After restore: the processes live without us from here on.
  void let_live() { walk_->let_live(); }
  // Takes away whatever was made: the way out of any failure.
  void undo() noexcept;

  const spec::Spec& spec() const { return document_.spec; }
  store::Container& container() { return *container_; }
  engine::Child& child() { return walk_->child; }
  const sys::Fd& cgroup_mount() const { return walk_->cgroup_mount; }
  const cgroup::Cgroup& cgroup() const { return walk_->cgroup; }
  // Whether something in the container's cgroup was; empty without a memory controller.
  std::optional<bool> was_oom_killed() const { return walk_->was_oom_killed(); }
  // The pty master, when there is a terminal and no console socket took it.
  sys::Fd& console() { return walk_->console; }
  // The plan in words.
  std::string planned(bool json) const;

 private:
  void plan();
  void plan_cgroup(plan::CreateRequest& request);
  void record_intent();
  void begin_walk();
  void fill_start_slot();
  void note_process();

  const CreateRequest& request_;
  plan::Host host_;
  const bool start_follows_;
  spec::Document document_;
  std::string rootfs_;  // absolute
  std::string cgroup_path_;
  engine::UnitPlan unit_;
  std::optional<systemd::Manager> systemd_;  // until the walk has it
  plan::Warnings warnings_;
  std::vector<unsigned char> block_;
  NotifyMount notify_mount_;
  bool has_notify_ = false;
  std::optional<store::Container> container_;
  std::optional<engine::Walk> walk_;
};

// Stays with a container that runs in the foreground until its end; takes it away then, or with
// `keep` writes down how it ended. `notifier`: null, or what to relay meanwhile. Its exit status.
// Throws spec::Error.
int see_out(Creation& creation, const SignalGate& gate, bool keep, Notifier* notifier);

}  // namespace coracle::container
