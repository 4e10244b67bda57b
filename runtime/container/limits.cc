#include "runtime/container/limits.h"

#include "runtime/cgroup/update.h"
#include "runtime/engine/unit.h"
#include "runtime/log.h"
#include "spec/error.h"
#include "spec/text.h"
#include "spec/validate.h"

namespace coracle::container {

void change_limits(const store::Record& record, const spec::LinuxResources& resources) {
  if (record.cgroup_path.empty())
    throw spec::Error(spec::cat("update needs a cgroup, and this container was made without one"));
  // What it warns of, update_writes warns of again if a value is asked for.
  spec::Warnings repeated;
  spec::validate_resources(resources, true, repeated);
  const sys::Fd mount = cgroup::open_mount();
  const cgroup::Cgroup cgroup = cgroup::open(mount, record.cgroup_path);
  plan::Warnings warnings;
  const auto writes = cgroup::update_writes(mount, cgroup, resources, warnings);
  if (record.unit.empty()) {
    cgroup::update(mount, cgroup, writes);
  } else {
    engine::update_unit(record, writes);
    cgroup::update(mount, cgroup, writes, cgroup::Pass::kWanted);
  }
  for (const std::string& warning : warnings) log::warning(warning);
}

}  // namespace coracle::container
