// linux.intelRdt (config-linux.md, "IntelRdt"): which group, with which limits, made by whom.
#include "runtime/plan/plan.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

static List lines(Draft& d, const spec::Strings& texts) {
  std::vector<Ref> refs;
  for (std::string_view text : texts)
    if (!text.empty()) refs.push_back(d.b.str(text));
  return d.b.list(refs);
}

// The init is a member before it is let go, and so is everything that descends from it.
void add_intel_rdt(Draft& d) {
  if (!d.spec.linux->intelRdt) return;
  const spec::LinuxIntelRdt& rdt = *d.spec.linux->intelRdt;
  if (d.host.resctrl.empty())
    throw Error::at("linux.intelRdt",
                    "no resctrl file system is mounted: mount -t resctrl resctrl /sys/fs/resctrl "
                    "(the processor and the kernel must have it: CONFIG_X86_CPU_RESCTRL)");
  const std::string_view name = rdt.closID.empty() ? d.request.id : rdt.closID;
  const std::string group = name == "/" ? d.host.resctrl : cat(d.host.resctrl, "/", name);
  IntelRdt step{};
  step.group = d.b.str(group);
  if (rdt.enableMonitoring) step.monitor = d.b.str(cat(group, "/mon_groups/", d.request.id));
  step.limits = lines(d, {rdt.l3CacheSchema, rdt.memBwSchema});
  step.schemata = lines(d, rdt.schemata);
  if (!rdt.closID.empty()) step.flags |= kRdtNamed;
  if (!rdt.closID.empty() && step.limits.count + step.schemata.count == 0)
    step.flags |= kRdtMustExist;
  d.b.parent("linux.intelRdt", step);
}

}  // namespace coracle::plan
