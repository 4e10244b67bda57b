#include "runtime/engine/intel_rdt.h"

#include <errno.h>

#include "runtime/cgroup/resctrl.h"
#include "runtime/engine/steps.h"
#include "spec/error.h"

namespace coracle::engine {

using spec::Error;

using Lines = std::vector<std::string_view>;

static Lines lines(const plan::View& v, plan::List list) {
  Lines out;
  for (uint32_t i = 0; i < list.count; ++i) out.push_back(v.str(v.list<plan::Ref>(list)[i]));
  return out;
}

// A group of the container's own name is ours, to be removed, if it was not there before; one that
// config.json names never is.
static bool make_group(const plan::IntelRdt& p, store::Container& container,
                       const std::string& group) {
  if ((p.flags & plan::kRdtMustExist) != 0) {
    cgroup::require_resctrl_group(group);
    return false;
  }
  if ((p.flags & plan::kRdtNamed) != 0) return cgroup::make_resctrl_group(group);
  container.record().intel_rdt = group;
  container.save();
  const bool made = cgroup::make_resctrl_group(group);
  if (!made) container.record().intel_rdt.clear();
  return made;
}

// One write for each limit and one for schemata, in this order: within one write a cache may be
// named only once. A named group that exists is used by others, and has its limits already.
static void set_limits(const plan::View& v, const plan::IntelRdt& p, const std::string& group,
                       bool made) {
  const Lines limits = lines(v, p.limits);
  if ((p.flags & plan::kRdtNamed) != 0 && !made) {
    cgroup::check_schemata(group, limits);
  } else {
    for (std::string_view line : limits) cgroup::write_schemata(group, {line});
  }
  cgroup::write_schemata(group, lines(v, p.schemata));
}

static void make_monitor(store::Container& container, const std::string& monitor) {
  if (monitor.empty()) return;
  container.record().intel_rdt_monitor = monitor;
  container.save();
  try {
    cgroup::make_resctrl_monitor(monitor);
  } catch (const Error& e) {
    if (e.code() == EEXIST) container.record().intel_rdt_monitor.clear();  // somebody else's
    throw;
  }
}

void enter_resctrl(const plan::View& v, const plan::IntelRdt& p, store::Container& container,
                   pid_t pid) {
  const std::string group(v.str(p.group));
  const bool made = make_group(p, container, group);
  set_limits(v, p, group, made);
  container.record().intel_rdt_group = group;
  make_monitor(container, std::string(v.str(p.monitor)));
  join_resctrl(container.record(), pid);
}

// A task joins a monitoring group only from the group above it.
void join_resctrl(const store::Record& record, pid_t pid) {
  if (!record.intel_rdt_group.empty()) cgroup::add_resctrl_task(record.intel_rdt_group, pid);
  if (!record.intel_rdt_monitor.empty()) cgroup::add_resctrl_task(record.intel_rdt_monitor, pid);
}

void leave_resctrl(const store::Record& record) {
  if (!record.intel_rdt_monitor.empty()) cgroup::remove_resctrl_group(record.intel_rdt_monitor);
  if (!record.intel_rdt.empty()) cgroup::remove_resctrl_group(record.intel_rdt);
}

void run(Walk& w, const plan::IntelRdt& p) {
  try {
    enter_resctrl(w.view(), p, w.setting.container, w.child.pid);
  } catch (Error& e) {
    e.wrap("linux.intelRdt");
    throw;
  }
}

}  // namespace coracle::engine
