#include "runtime/container/creation.h"

#include <algorithm>
#include <iterator>

#include "runtime/cgroup/settle.h"
#include "runtime/container/filter.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/own_userns.h"
#include "runtime/engine/console.h"
#include "runtime/engine/report.h"
#include "runtime/host/host.h"
#include "runtime/log.h"
#include "runtime/plan/describe.h"
#include "runtime/plan/namespaces.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/process.h"
#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace coracle::container {

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

Creation::Creation(const CreateRequest& request, bool start_follows)
    : request_(request),
      start_follows_(start_follows),
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
  host_ = host::probe_host(spec());
  host::check_handed_fds(host_.listen_fds, request_.preserve_fds);
  plan::CreateRequest request;
  request.id = request_.id;
  request.bundle = request_.bundle;
  plan_cgroup(request);
  request.rootless_cgroup_errors_ignored = request_.rootless.value_or(is_rootless(host_));
  request.no_pivot = request_.no_pivot;
  request.no_new_keyring = request_.no_new_keyring;
  request.start_follows = start_follows_;
  request.preserve_fds = request_.preserve_fds;
  const bool terminal = spec().process && spec().process->terminal;
  request.has_console_socket =
      !request_.console_socket.empty() || (request_.keep_console && terminal);
  const auto filter = filter_of(spec(), warnings_);
  if (filter) request.seccomp = &*filter;
  block_ = plan::make_create(spec(), request, host_, warnings_);
}

// `request` borrows what is kept here.
void Creation::plan_cgroup(plan::CreateRequest& request) {
  if (request_.cgroup_manager == "systemd") {
    const bool user = systemd::is_user_manager(host_.euid, host_.initial_userns);
    systemd_.emplace(systemd::bus_addresses(user), engine::kStartTimeoutMs);
    unit_ = engine::plan_unit(*systemd_, spec(), host_, request_.root.path, request_.id);
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

// Its occasions are this object's: it outlives the walk.
void Creation::begin_walk() {
  engine::Occasions when;
  when.hooks = [this](plan::HookKind kind) {
    // prestart, deprecated, has always been told "created" (runtime-tools, hooks_stdin); the kinds
    // that replaced it are told what runtime-spec says of that moment.
    const bool old = kind == plan::HookKind::kPrestart;
    run_hooks(kind, spec(), *container_, old ? store::Status::kCreated : store::Status::kCreating);
  };
  when.born = [this] { note_process(); };
  when.created = [this] { announce(); };
  const engine::Setting setting{block_,
                                *container_,
                                request_.root.path,
                                store::Status::kCreating,
                                3 + host_.listen_fds + request_.preserve_fds,
                                request_.console_socket,
                                start_follows_ && !request_.detach};
  walk_.emplace(setting, std::move(when));
  walk_->systemd = std::move(systemd_);
  systemd_.reset();
}

// The slot was reserved when the plan was made; the socket exists only now.
void Creation::fill_start_slot() {
  for (const plan::Step& step : walk_->view()) {
    if (step.op != Op::kAwaitStart) continue;
    const plan::Slot slot = step.as<plan::AwaitStart>().slot;
    if (slot != plan::kNoSlot) walk_->slots.set(slot, container_->bind_start_socket());
  }
}

void Creation::make() {
  try {
    record_intent();
    begin_walk();
    // Where the start follows nobody else has to find it.
    walk_->report =
        start_follows_ ? engine::make_report() : container_->make_report(plan::kReportSize);
    if (!walk_->report) throw Error("the init's report", walk_->report.error());
    fill_start_slot();
    walk_->run();
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
    begin_walk();
    walk_->run_only([](const plan::View& view, const plan::Step& step) {
      return is_cgroup_step(step.op) && !is_bound(view, step);
    });
    if (unit_.name.unit.empty()) return;
    for (std::string_view file : kBounds)  // systemd has set them already
      cgroup::write_limit(walk_->cgroup, file, "max", plan::kCgroupIgnoreMissing);
  } catch (...) {
    undo();
    throw;
  }
}

void Creation::set_bounds() { walk_->run_only(is_bound); }

void Creation::announce() {
  store::Record& record = container_->record();
  record.phase = store::Phase::kCreated;
  container_->save();
  const engine::Child& child = walk_->child;
  if (!request_.pid_file.empty()) write_pid_file(request_.pid_file, child.pid);
  if (!request_.pidfd_socket.empty())
    engine::send_descriptor(request_.pidfd_socket, child.pidfd, "pidfd");
  const std::string receiver(spec::find(spec().annotations, spec::kPidfdReceiver));
  if (!receiver.empty()) engine::send_descriptor(receiver, child.pidfd, "pidfd");
}

void Creation::adopt(pid_t pid) {
  engine::Child& child = walk_->child;
  child.pid = pid;
  child.pidfd = sys::pidfd_open(pid);
  if (!child.pidfd) throw Error(cat("process ", pid), child.pidfd.error());
  note_process();
  walk_->placeholder.reset();  // of the systemd unit
  container_->save();
}

// Without its start time it would be taken for ended.
void Creation::note_process() {
  const pid_t pid = walk_->child.pid;
  sys::ProcessStat stat;
  const int r = sys::read_process_stat(pid, stat);
  if (r < 0) throw Error(cat("failed to read /proc/", pid, "/stat"), r);
  container_->record().process = {pid, stat.start_time};
}

void Creation::commit() {
  try {
    walk_->commit();
  } catch (...) {
    undo();
    throw;
  }
}

void Creation::undo() noexcept {
  const bool ask_systemd = !walk_ || walk_->ask_systemd;
  if (walk_) {
    walk_->net_devices.give_back();
    walk_->end();
    walk_->placeholder.reset();
  }
  if (!container_) return;
  try {
    take_away(*container_, spec(), {.ask_systemd = ask_systemd});
  } catch (const std::exception& e) {
    // The record stays and names what is left: `delete -f` can try again.
    log::warning(cat("undoing a failed create: ", e.what()));
  }
}

}  // namespace coracle::container
