#include "runtime/plan/plan.h"

#include <linux/sched.h>

#include "runtime/plan/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::Error;

static bool has(const std::vector<spec::Hook>* hooks) {
  return hooks != nullptr && !hooks->empty();
}

static Draft make_draft(const spec::Spec& spec, const Request& request, const Host& host,
                        Warnings& warnings) {
  Draft d{{}, spec, request, host, warnings};
  d.new_userns = find_namespace(spec, "user") != nullptr;
  d.parent_mounts = host.privileged;
  return d;
}

// prestart, createRuntime: in the runtime's namespaces; createContainer: in the container's,
// before the pivot. The init waits meanwhile (runtime.md, lifecycle steps 3 to 6).
void add_hooks_before_pivot(Draft& d) {
  if (!d.spec.hooks) return;
  const spec::Hooks& h = *d.spec.hooks;
  if (!has(&h.prestart) && !has(&h.createRuntime) && !has(&h.createContainer)) return;
  d.b.parent("", Meet{});
  if (has(&h.prestart))
    d.b.parent("hooks.prestart", Hooks{static_cast<uint32_t>(HookKind::kPrestart)});
  if (has(&h.createRuntime))
    d.b.parent("hooks.createRuntime", Hooks{static_cast<uint32_t>(HookKind::kCreateRuntime)});
  if (has(&h.createContainer))
    d.b.parent("hooks.createContainer", Hooks{static_cast<uint32_t>(HookKind::kCreateContainer)});
  d.b.init("", Meet{});
}

std::vector<unsigned char> make_create(const spec::Spec& spec, const Request& request,
                                       const Host& host, Warnings& warnings) {
  if (!spec.linux) throw Error::at("linux", "missing: namespaces are needed to run a container");
  if (!spec.root) throw Error::at("root", "missing: it is required on Linux (config.md)");

  Draft d = make_draft(spec, request, host, warnings);
  add_cgroup(d);
  add_sources(d);
  add_clone(d);
  add_late_limits(d);
  add_intel_rdt(d);
  add_net_devices(d);
  add_namespace_entries(d);
  add_rootfs(d);
  add_hooks_before_pivot(d);
  add_process_early(d);
  add_pivot(d);
  add_process_late(d);
  return d.b.finish();
}

std::vector<unsigned char> make_exec(const spec::Spec& spec, const spec::Process& process,
                                     const ExecRequest& request, const Host& host,
                                     Warnings& warnings) {
  Request as_create;
  as_create.id = request.id;
  as_create.preserve_fds = request.preserve_fds;
  as_create.has_console_socket = request.has_console_socket;
  as_create.seccomp = request.seccomp;
  as_create.seccomp_flags = request.seccomp_flags;
  as_create.seccomp_notify = request.seccomp_notify;
  as_create.foreground = true;

  Draft d = make_draft(spec, as_create, host, warnings);
  add_exec_affinity(d, process);
  Clone clone{};
  const Slot container = d.b.slot();  // kExecContainer
  // The cgroup namespace is left to the init.
  const Join join{container, static_cast<uint32_t>(request.join & ~uint64_t{CLONE_NEWCGROUP})};
  clone.join = d.b.list(&join, join.nstype != 0 ? 1 : 0);
  if (request.into_cgroup) clone.flags |= kCloneIntoCgroup;
  if (d.new_userns) clone.flags |= kCloneInUserns;
  if (host.privileged) clone.flags |= kCloneUserLast;
  clone.uid = process.user.uid;
  clone.gid = process.user.gid;
  d.b.parent("", clone);
  if ((request.join & CLONE_NEWCGROUP) != 0) d.b.init("", CgroupNamespace{d.b.slot()});
  if ((request.join & CLONE_NEWNS) == 0) d.b.init("", EnterRoot{d.b.slot()});
  d.b.init("", SetSession{});
  add_keyring_label(d, process);
  d.b.init("", Keyring{d.b.str(spec::cat("_ses.", request.id))}, OnError::kWarn);
  add_exec_process(d, process);
  return d.b.finish();
}

}  // namespace coracle::plan
