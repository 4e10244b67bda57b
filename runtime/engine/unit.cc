#include "runtime/engine/unit.h"

#include <errno.h>

#include "runtime/cgroup/control.h"
#include "runtime/cgroup/fs.h"
#include "runtime/cgroup/settle.h"
#include "runtime/engine/steps.h"
#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::engine {

using spec::cat;
using spec::Error;

// By which a unit is known as this container's, whoever else has one of the same id.
static std::string description_of(std::string_view directory) {
  return cat("coracle container ", directory);
}

UnitPlan plan_unit(systemd::Manager& manager, const spec::Spec& spec, const plan::Host& host,
                   std::string_view root, std::string_view id) {
  const bool user = systemd::is_user_manager(host.euid, host.initial_userns);
  const systemd::Facts facts = manager.facts();
  UnitPlan unit;
  unit.name = systemd::settle_unit(spec.linux ? spec.linux->cgroupsPath : "", id, user);
  unit.cgroup_path = facts.control_group + unit.name.path;
  unit.description = description_of(cat(root, "/", id));
  unit.version = facts.version;
  return unit;
}

systemd::Manager connect_manager(const store::Record& record, int timeout_ms) {
  const bool user =
      systemd::is_user_manager(sys::effective_uid(), sys::in_initial_user_namespace());
  return systemd::Manager(systemd::bus_addresses(user, record.bus), timeout_ms);
}

// ---- create ----------------------------------------------------------------------------------

void run(Walk& w, const plan::SetUnitProperty& p) {
  const plan::View v = w.view();
  plan::UnitProperty property;
  property.name = v.str(p.name);
  property.type = v.str(p.type);
  for (uint32_t i = 0; i < p.strings.count; ++i)
    property.strings.emplace_back(v.str(v.list<plan::Ref>(p.strings)[i]));
  const uint64_t* numbers = v.list<uint64_t>(p.numbers);
  property.numbers.assign(numbers, numbers + p.numbers.count);
  property.origin = v.str(w.step().origin);
  w.unit_properties.push_back(std::move(property));
}

// A slice has no first process: its cgroup is there for others to be made in.
static void start_unit(Walk& w, const std::string& unit) {
  std::vector<pid_t> pids;
  if (!unit.ends_with(".slice")) {
    w.placeholder.emplace();
    pids.push_back(w.placeholder->pid());
  }
  w.ask_systemd = false;  // should it fail: then there is nothing to stop, or nobody to ask
  const auto outcome = w.systemd->start_unit(unit, w.unit_properties, pids);
  w.ask_systemd = true;
  if (outcome == systemd::Manager::Start::kExists)
    throw Error(cat("systemd has a unit ", unit,
                    " already, which is in use: is there another container of this name? "
                    "`systemctl status ",
                    unit, "` shows it"));
}

// In another pid or cgroup namespace than systemd's, ours and its names of things would differ.
static void check_place(pid_t pid, std::string_view path) {
  const std::string file = cat("/proc/", pid, "/cgroup");
  std::string text;
  if (int r = sys::read_file(sys::At::cwd(), file.c_str(), text)) throw Error(file, r);
  const std::string place = cgroup::unified_path(text);
  if (place == path) return;
  throw Error(cat("systemd has put the container into cgroup ", spec::quoted(place), " instead of ",
                  spec::quoted(path)));
}

void run(Walk& w, const plan::StartUnit& p) {
  const plan::View v = w.view();
  const std::string unit(v.str(p.unit));
  const std::string path(v.str(p.path));
  std::vector<std::string_view> controllers;
  for (uint32_t i = 0; i < p.controllers.count; ++i)
    controllers.push_back(v.str(v.list<plan::Ref>(p.controllers)[i]));
  w.cgroup_mount = cgroup::open_mount();
  cgroup::check_unused(w.cgroup_mount, path);
  start_unit(w, unit);
  w.setting.container.record().cgroup_path = path;
  w.systemd.reset();  // or signals that nobody reads would pile up while a container runs
  if (w.placeholder) check_place(w.placeholder->pid(), path);
  w.cgroup = cgroup::open(w.cgroup_mount, path);
  cgroup::enable_controllers(w.cgroup_mount, w.cgroup, controllers, cgroup::Pass::kWanted);
}

// ---- update ----------------------------------------------------------------------------------

void update_unit(const store::Record& record, const std::vector<plan::LimitWrite>& writes) {
  if (writes.empty()) return;
  systemd::Manager manager = connect_manager(record, kStartTimeoutMs);
  const auto properties = plan::limit_properties(writes, manager.facts().version);
  if (!properties.empty()) manager.set_properties(record.unit, properties);
}

// ---- delete ----------------------------------------------------------------------------------

static void end_processes(const sys::Fd& mount, const std::string& path) {
  const cgroup::Cgroup cgroup = cgroup::try_open(mount, path);
  if (!cgroup.dir) return;  // ended, and removed by systemd
  cgroup::kill_all(cgroup);
  cgroup::wait_empty(cgroup, cgroup::kWaitMs);  // if they do not end, the removal will say so
}

// Everything in it has been killed, or is killed now: a stop alone would begin with SIGTERM, and
// wait for a minute and a half.
static void stop_unit(const store::Container& container) {
  const store::Record& record = container.record();
  systemd::Manager manager = connect_manager(record, kStopTimeoutMs);
  if (record.cgroup_path.empty()) {
    if (manager.description(record.unit) != description_of(container.path())) return;
    manager.kill_unit(record.unit);
  }
  manager.stop_unit(record.unit);
}

void remove_unit(const store::Container& container, bool ask) {
  const store::Record& record = container.record();
  const sys::Fd mount = cgroup::open_mount();
  if (!record.cgroup_path.empty()) end_processes(mount, record.cgroup_path);
  try {
    if (ask) stop_unit(container);
  } catch (const Error& e) {
    log::warning(cat("unit ", record.unit, " is not told to stop: ", e.what()));
  }
  if (!record.cgroup_path.empty()) cgroup::destroy(mount, record.cgroup_path);
}

}  // namespace coracle::engine
