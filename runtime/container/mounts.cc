#include "runtime/container/mounts.h"

#include "runtime/container/lifecycle.h"
#include "runtime/engine/report.h"
#include "runtime/engine/walk.h"
#include "runtime/host/host.h"
#include "runtime/log.h"
#include "runtime/plan/hot_mounts.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/validate.h"

namespace coracle::container {

static std::vector<unsigned char> make_plan(const spec::Spec& spec,
                                            const store::Container& container, MountChange change) {
  plan::HotRequest request;
  request.id = container.id();
  request.bundle = container.record().bundle;
  request.namespaces = container.record().namespaces;
  plan::Warnings warnings;
  const plan::Host host = host::probe_host(spec);
  std::vector<unsigned char> block = change == MountChange::kAdd
                                         ? plan::make_hot_mounts(spec, request, host, warnings)
                                         : plan::make_hot_removal(spec, request, host, warnings);
  for (const std::string& warning : warnings) log::warning(warning);
  return block;
}

static void perform(const std::string& root, store::Container& container,
                    std::vector<unsigned char> block, sys::Fd init) {
  engine::Walk walk({block, container, root, store::Status::kRunning}, {});
  walk.report = engine::make_report();
  if (!walk.report) throw spec::Error("the helper's report", walk.report.error());
  walk.slots.set(plan::kExecContainer, std::move(init));
  walk.run();
  walk.await_program();
  int status = 0;
  const int r = sys::reap(walk.release().pid, status);
  if (r < 0) throw spec::Error("waiting for the mounting process", r);
  if (status != 0) throw spec::Error("the mounting process ended early: " + sys::how_ended(status));
}

void change_mounts(const std::string& root, store::Container& container,
                   const spec::Document& mounts, MountChange change) {
  spec::Document config = kept_config(container);
  config.spec.mounts = mounts.spec.mounts;  // its strings live as long as `mounts`
  spec::Warnings warnings;
  if (change == MountChange::kAdd)
    spec::validate_mounts(config.spec.mounts, spec::find_namespace(config.spec, "user") != nullptr,
                          warnings);
  for (const std::string& warning : warnings) log::warning(warning);
  sys::Fd init = container.pidfd();
  if (!init) throw spec::Error("the container's first process", init.error());
  perform(root, container, make_plan(config.spec, container, change), std::move(init));
}

}  // namespace coracle::container
