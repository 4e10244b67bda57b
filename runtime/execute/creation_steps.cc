// The parent's steps of a creation, one function a kind.

#include "runtime/cgroup/fs.h"
#include "runtime/execute/console.h"
#include "runtime/execute/creation.h"
#include "runtime/execute/host.h"
#include "runtime/execute/idmap.h"
#include "runtime/execute/intel_rdt.h"
#include "runtime/execute/lifecycle.h"
#include "runtime/log.h"
#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::execute {

using spec::Error;

static plan::View view_of(const std::vector<unsigned char>& block) {
  return plan::View(block.data());
}

void Creation::run(const plan::CgroupMake& p) {
  const plan::View v = view_of(block_);
  std::vector<std::string_view> controllers;
  for (uint32_t i = 0; i < p.controllers.count; ++i)
    controllers.push_back(v.str(v.list<plan::Ref>(p.controllers)[i]));
  cgroup_mount_ = cgroup::open_mount();
  try {
    cgroup_ = cgroup::make(cgroup_mount_, v.str(p.path), controllers);
  } catch (...) {
    // Nothing of ours is there, but it may be another container's: undo() must not touch it.
    container_->record().cgroup_path.clear();
    container_->save();
    throw;
  }
}

// Without a cgroup (see do_step) only writes that set nothing are in the plan.
void Creation::run(const plan::CgroupWrite& p) {
  if (!cgroup_.dir) return;
  const plan::View v = view_of(block_);
  cgroup::write_limit(cgroup_, v.str(p.file), v.str(p.value), p.flags);
}

void Creation::run(const plan::CgroupDevices& p) {
  cgroup::attach_devices(cgroup_, view_of(block_).list<uint64_t>(p.instructions),
                         p.instructions.count);
}

void Creation::run(const plan::CgroupDelegate& p) {
  if (cgroup_.dir) cgroup::delegate(cgroup_, p.uid, p.gid);  // else: nothing to hand over
}

void Creation::run(const plan::CgroupLeaf& p) {
  if (!cgroup_.dir) return;
  const cgroup::Cgroup leaf =
      cgroup::enter_leaf(cgroup_mount_, cgroup_, view_of(block_).str(p.path), child_.pid);
  cgroup::delegate(leaf, p.uid, p.gid);
}

void Creation::run(const plan::IdmapTree& p) {
  sys::Fd tree;
  await(plan::MessageKind::kDescriptor, current_, &tree);
  host_steps_.run(p, view_of(block_).begin()[current_], tree);
}

// The slot of the start socket was reserved when the plan was made; its fd exists only now.
void Creation::run(const plan::Clone& p) {
  for (const plan::Step& step : view_of(block_)) {
    if (step.op != plan::Op::kAwaitStart) continue;
    const plan::Slot slot = step.as<plan::AwaitStart>().slot;
    if (slot != plan::kNoSlot) host_steps_.set(slot, std::move(start_socket_));
  }
  const uint32_t first = 3 + host_.listen_fds + request_.preserve_fds;
  child_ = launch_in_unit({block_, p, cgroup_.dir ? cgroup_.dir.get() : -1, first,
                           ignored_signals(), request_.root.path},
                          container_->record());
  placeholder_.reset();
  note_process();
}

void Creation::note_process() {
  sys::ProcessId& process = container_->record().process;
  process.pid = child_.pid;
  sys::ProcessStat stat;
  if (sys::read_process_stat(child_.pid, stat) == 0) process.start_time = stat.start_time;
}

void Creation::run(const plan::IdMaps& p) {
  const plan::View v = view_of(block_);
  write_id_maps(child_.pid, v.str(p.uid_map), v.str(p.gid_map),
                (p.flags & plan::kMapsDenySetgroups) != 0, (p.flags & plan::kMapsUseHelpers) != 0);
  if (child_.channel.send_go(current_) < 0) init_is_gone();
}

// prestart, deprecated, has always been told "created" (runtime-tools, hooks_stdin); the kinds that
// replaced it are told what runtime-spec says of that moment.
void Creation::run(const plan::Hooks& p) {
  const auto kind = static_cast<plan::HookKind>(p.kind);
  const bool old = kind == plan::HookKind::kPrestart;
  run_hooks(kind, spec(), *container_, old ? store::Status::kCreated : store::Status::kCreating,
            &child_.pidfd);
}

void Creation::run(const plan::NetDevice& p) {
  const plan::View v = view_of(block_);
  try {
    net_devices_.move(child_.pid, v.c_str(p.name), v.c_str(p.new_name));
  } catch (Error& e) {
    e.wrap(v.str(v.begin()[current_].origin));
    throw;
  }
}

void Creation::run(const plan::IntelRdt& p) {
  try {
    enter_resctrl(view_of(block_), p, *container_, child_.pid);
  } catch (Error& e) {
    e.wrap("linux.intelRdt");
    throw;
  }
}

void Creation::run(const plan::SeccompListener& p) {
  sys::Fd listener;
  await(plan::MessageKind::kDescriptor, current_, &listener);
  send_listener(view_of(block_), p, *container_, store::Status::kCreating, child_.pid, listener);
}

void Creation::run(const plan::ConsoleSend&) {
  sys::Fd master;
  await(plan::MessageKind::kDescriptor, current_, &master);
  if (request_.console_socket.empty()) {
    console_ = std::move(master);
    if (foreground_) suit_output(console_);
  } else {
    send_descriptor(request_.console_socket, master, "/dev/pts/0");
  }
}

void Creation::run(const plan::RecordCreated&) {
  store::Record& record = container_->record();
  record.phase = store::Phase::kCreated;
  container_->save();
  if (!request_.pid_file.empty()) write_pid_file(request_.pid_file, child_.pid);
  if (!request_.pidfd_socket.empty()) send_descriptor(request_.pidfd_socket, child_.pidfd, "pidfd");
  const std::string receiver(spec::find(spec().annotations, spec::kPidfdReceiver));
  if (!receiver.empty()) send_descriptor(receiver, child_.pidfd, "pidfd");
}

}  // namespace coracle::execute
