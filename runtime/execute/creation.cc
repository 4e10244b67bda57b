#include "runtime/execute/creation.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <iterator>

#include "runtime/cgroup/fs.h"
#include "runtime/cgroup/settle.h"
#include "runtime/execute/denied.h"
#include "runtime/execute/filter.h"
#include "runtime/execute/host.h"
#include "runtime/execute/lifecycle.h"
#include "runtime/execute/own_userns.h"
#include "runtime/execute/words.h"
#include "runtime/log.h"
#include "runtime/plan/describe.h"
#include "runtime/plan/namespaces.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "spec/error.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace coracle::execute {

using plan::MessageKind;
using plan::Op;
using spec::cat;
using spec::Error;

static std::string config_path(const CreateRequest& request) {
  if (request.config_name.starts_with('/')) return request.config_name;
  return cat(request.bundle, "/", request.config_name);
}

std::string read_config(const std::string& path) {
  std::string bytes;
  const int r = sys::read_regular_file(sys::At::cwd(), path.c_str(), bytes, spec::kMaxDocumentSize);
  if (r < 0) throw Error(path, r);
  return bytes;
}

static std::string absolute_rootfs(const spec::Spec& spec, const std::string& bundle) {
  if (!spec.root) return "";
  const std::string_view path = spec.root->path;
  return path.starts_with('/') ? std::string(path) : cat(bundle, "/", path);
}

Creation::Creation(const CreateRequest& request, bool foreground)
    : request_(request),
      foreground_(foreground),
      document_(
          spec::Document::parse_config(read_config(config_path(request)), request.config_name)) {
  try {
    warnings_ = document_.near_misses();
    check_agent();
    settle_agent(document_.spec);
    complete_userns(document_.spec, warnings_);
    spec::validate(spec(), warnings_);
    rootfs_ = absolute_rootfs(spec(), request.bundle);
    store::check_id(request.id);
    if (!request.notify_socket.empty())
      has_notify_ =
          notify_mount_.add_to(document_.spec, cat(request.root.path, "/", request.id, "/notify"));
    plan();
  } catch (Error& e) {
    document_.locate(e);
    throw;
  }
  for (const std::string& warning : warnings_) log::warning(warning);
}

// Root of a user namespace of somebody's own is an ordinary user to the host's cgroups.
static bool is_rootless(const plan::Host& host) { return host.euid != 0 || !host.initial_userns; }

void Creation::plan() {
  host_ = probe_host(spec());
  check_handed_fds(host_.listen_fds, request_.preserve_fds);
  plan::Request request;
  request.id = request_.id;
  request.bundle = request_.bundle;
  plan_cgroup(request);
  request.rootless_cgroup_errors_ignored = request_.rootless.value_or(is_rootless(host_));
  request.no_pivot = request_.no_pivot;
  request.no_new_keyring = request_.no_new_keyring;
  request.foreground = foreground_;
  request.preserve_fds = request_.preserve_fds;
  request.has_console_socket = !request_.console_socket.empty() || request_.keep_console;
  plan::seccomp::Program program;
  if (auto filter = filter_of(request_.root.path, spec(), warnings_)) {
    program = std::move(*filter);
    request.seccomp = &program.instructions;
    request.seccomp_flags = program.flags;
    request.seccomp_notify = program.notify;
  }
  block_ = plan::make_create(spec(), request, host_, warnings_);
}

// `request` borrows what is kept here.
void Creation::plan_cgroup(plan::Request& request) {
  if (request_.cgroup_manager == "systemd") {
    const bool user = systemd::is_user_manager(host_.euid, host_.initial_userns);
    systemd_.emplace(systemd::bus_addresses(user), kStartTimeoutMs);
    unit_ = plan_unit(*systemd_, spec(), host_, request_.root.path, request_.id);
    cgroup_path_ = unit_.cgroup_path;
    request.unit = unit_.name.unit;
    request.slice = unit_.name.slice;
    request.unit_description = unit_.description;
    request.systemd_version = unit_.version;
  } else if (request_.cgroup_manager != "disabled") {
    cgroup_path_ = cgroup::settle_path(spec().linux ? spec().linux->cgroupsPath : "", request_.id,
                                       host_.cgroup_path);
  }
  request.cgroup_path = cgroup_path_;
}

std::string Creation::planned(bool json) const {
  const plan::View view(block_.data());
  return json ? plan::to_json(view) : plan::to_table(view);
}

// On disk before any kernel object exists: what a create that dies here may leave has a name.
void Creation::record_intent() {
  store::prepare_root(request_.root);
  container_.emplace(store::Container::create_new(request_.root.path, request_.id));
  store::Record& record = container_->record();
  record.bundle = request_.bundle;
  record.shim = request_.shim;
  record.rootfs = rootfs_;
  // What systemd is to make is the container's only once it is made (run of StartUnit).
  if (!systemd_) record.cgroup_path = cgroup_path_;
  record.cgroup_manager = request_.cgroup_manager;
  record.unit = unit_.name.unit;
  if (systemd_) record.bus = systemd_->address();
  record.rootless = is_rootless(host_);
  record.terminal = spec().process && spec().process->terminal;
  if (spec().linux)
    for (const auto& ns : spec().linux->namespaces)
      record.namespaces |= plan::namespace_flag(ns.type);
  const spec::LinuxNamespace* pids = spec::find_namespace(spec(), "pid");
  record.own_pids = pids != nullptr && pids->path.empty();
  if (spec::find_namespace(spec(), "mount") == nullptr)
    record.rootfs_mount = sys::mount_id(rootfs_.c_str());
  for (const auto& [key, value] : spec().annotations)
    record.annotations.emplace_back(std::string(key), std::string(value));
  container_->save();
  container_->save_config(document_.bytes());
  if (has_notify_) make_notify_directory(*container_);
}

void Creation::make() {
  try {
    record_intent();
    if (!foreground_) start_socket_ = container_->bind_start_socket();
    walk();
  } catch (...) {
    undo();
    throw;
  }
}

// ---- restore: somebody else makes the processes

static bool is_cgroup_step(Op op) {
  return op == Op::kSetUnitProperty || op == Op::kStartUnit || op == Op::kCgroupMake ||
         op == Op::kCgroupWrite || op == Op::kCgroupDevices || op == Op::kCgroupDelegate;
}

// criu works inside the cgroup: what bounds the container's processes and memory would bound the
// sum of both.
static constexpr std::string_view kBounds[] = {"pids.max", "memory.max", "memory.high",
                                               "memory.swap.max"};

static bool is_bound(const plan::View& view, const plan::Step& step) {
  return step.op == Op::kCgroupWrite &&
         std::find(std::begin(kBounds), std::end(kBounds),
                   view.str(step.as<plan::CgroupWrite>().file)) != std::end(kBounds);
}

void Creation::make_place() {
  try {
    record_intent();
    const plan::View view(block_.data());
    for (const plan::Step& step : view)
      if (is_cgroup_step(step.op) && !is_bound(view, step)) do_step(step);
    if (unit_.name.unit.empty()) return;
    for (std::string_view file : kBounds)  // systemd has set them already
      cgroup::write_limit(cgroup_, file, "max", plan::kCgroupIgnoreMissing);
  } catch (...) {
    undo();
    throw;
  }
}

void Creation::set_bounds() {
  const plan::View view(block_.data());
  for (const plan::Step& step : view)
    if (is_bound(view, step)) do_step(step);
}

void Creation::announce() { run(plan::RecordCreated{}); }

void Creation::adopt(pid_t pid) {
  child_.pid = pid;
  child_.pidfd = sys::pidfd_open(pid);
  if (!child_.pidfd) throw Error(cat("process ", pid), child_.pidfd.error());
  note_process();
  placeholder_.reset();  // of the systemd unit
  container_->save();
}

void Creation::walk() {
  const plan::View view(block_.data());
  host_steps_.begin(block_);
  for (const plan::Step& step : view) {
    const auto index = static_cast<uint16_t>(&step - view.begin());
    current_ = index;
    if (step.op == Op::kAwaitStart) {
      await_start_ = index;
      await(MessageKind::kReached, index, nullptr);
    } else if (step.op == Op::kMeet && step.actor == plan::Actor::kParent) {
      await(MessageKind::kReached, index, nullptr);
    } else if (step.op == Op::kMeet) {
      if (child_.channel.send_go(index) < 0) init_is_gone();
    } else if (step.actor == plan::Actor::kParent) {
      do_step(step);
    }
  }
}

// A step whose failure the plan only warns of: a cgroup that an ordinary user may not make.
void Creation::do_step(const plan::Step& step) {
  try {
    dispatch(step);
  } catch (const Error& e) {
    const std::string why =
        why_denied(plan::View(block_.data()), step, plan::Call::k_none, e.code());
    const std::string text = why.empty() ? e.what() : cat(e.what(), ": ", why);
    if (step.on_error != plan::OnError::kWarn) {
      if (why.empty()) throw;
      throw Error(text);
    }
    log::warning(text);
    if (step.op != Op::kCgroupMake) return;
    container_->record().cgroup_path.clear();
    container_->save();
  }
}

void Creation::dispatch(const plan::Step& step) {
  switch (step.op) {
#define X(name, text) \
  case Op::k##name:   \
    return run(step.as<plan::name>());
    CORACLE_PARENT_STEPS(X)
#undef X
    default:
      return host_steps_.run_shared(step, child_.pid);
  }
}

void Creation::await(MessageKind kind, uint16_t index, sys::Fd* descriptor) {
  if (!await_message(child_.channel, plan::View(block_.data()), kind, index, rootfs_, descriptor))
    init_is_gone();
}

std::optional<bool> Creation::was_oom_killed() const {
  std::string events;
  if (!cgroup_.dir || sys::read_file(cgroup_.dir, "memory.events", events) < 0) return std::nullopt;
  const size_t at = events.find("\noom_kill ");
  return at != std::string::npos && events.compare(at, 12, "\noom_kill 0") != 0;
}

// Without a word: killed, and the one thing that kills an init in its cgroup is its memory limit.
void Creation::init_is_gone() {
  // Gone, or out of reach (the socket failed): then it has to go.
  constexpr int kLastMomentsMs = 1000;
  if (sys::pidfd_wait(child_.pidfd, kLastMomentsMs) == 0)
    sys::pidfd_send_signal(child_.pidfd, SIGKILL);  // ended meanwhile: as wanted
  int status = 0;
  while (waitpid(child_.pid, &status, 0) < 0 && errno == EINTR) {
  }
  const pid_t pid = std::exchange(child_.pid, 0);
  if (was_oom_killed().value_or(false))
    throw Error(
        "container init was OOM-killed: the memory limit (linux.resources.memory.limit) is "
        "too low to start it");
  throw Error(cat("container init ", pid, " ended before it was ready: ", sys::how_ended(status)));
}

void Creation::commit() {
  try {
    if (child_.channel.send_go(await_start_) < 0) init_is_gone();
  } catch (...) {
    undo();
    throw;
  }
}

void Creation::await_program() {
  await_exec(child_.channel, plan::View(block_.data()), rootfs_);
  net_devices_.leave();
}

void Creation::undo() noexcept {
  net_devices_.give_back();
  if (child_.pid > 0) {
    sys::pidfd_send_signal(child_.pidfd, SIGKILL);  // ended already: as wanted
    while (waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    child_.pid = 0;
  }
  placeholder_.reset();
  if (!container_) return;
  try {
    take_away(*container_, spec(), {.ask_systemd = ask_systemd_});
  } catch (const std::exception& e) {
    // The record stays and names what is left: `delete -f` can try again.
    log::warning(cat("undoing a failed create: ", e.what()));
  }
}

}  // namespace coracle::execute
