#include "runtime/plan/plan.h"

#include <linux/sched.h>

#include "runtime/plan/entry.h"
#include "runtime/plan/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::Error;

static bool has(const std::vector<spec::Hook>* hooks) {
  return hooks != nullptr && !hooks->empty();
}

Draft make_draft(const spec::Spec& spec, const Request& request, const CreateRequest& create,
                 const Host& host, Warnings& warnings) {
  Draft d{{}, spec, request, create, host, warnings};
  d.new_userns = find_namespace(spec, "user") != nullptr;
  d.parent_mounts = host.privileged;
  return d;
}

// prestart, createRuntime: in the runtime's namespaces; createContainer: in the container's,
// before the pivot. The init waits meanwhile (runtime.md, lifecycle steps 3 to 6).
static void check_hook_inside(const Draft& d, std::string_view kind) {
  if (d.host.traces || may_show_init(d)) return;
  throw Error::at(spec::cat("hooks.", kind),
                  "an ordinary user cannot run a hook inside a container that joins a user "
                  "namespace: leave the hook out, or create the container as root");
}

void add_hooks_before_pivot(Draft& d) {
  if (!d.spec.hooks) return;
  const spec::Hooks& h = *d.spec.hooks;
  if (has(&h.createContainer)) check_hook_inside(d, "createContainer");
  if (!has(&h.prestart) && !has(&h.createRuntime) && !has(&h.createContainer)) return;
  add_dumpable(d, true);
  d.b.parent("", Meet{});
  if (has(&h.prestart))
    d.b.parent("hooks.prestart", Hooks{static_cast<uint32_t>(HookKind::kPrestart)});
  if (has(&h.createRuntime))
    d.b.parent("hooks.createRuntime", Hooks{static_cast<uint32_t>(HookKind::kCreateRuntime)});
  if (has(&h.createContainer))
    d.b.parent("hooks.createContainer", Hooks{static_cast<uint32_t>(HookKind::kCreateContainer)});
  d.b.init("", Meet{});
  add_dumpable(d, false);
}

std::vector<unsigned char> make_create(const spec::Spec& spec, const CreateRequest& request,
                                       const Host& host, Warnings& warnings) {
  if (!spec.linux) throw Error::at("linux", "missing: namespaces are needed to run a container");
  if (!spec.root) throw Error::at("root", "missing: it is required on Linux (config.md)");

  Draft d = make_draft(spec, request, request, host, warnings);
  if (spec.process) d.process = &*spec.process;
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

static const CreateRequest kNothingCreated;

// The slots that the parent fills, in their order: kExecContainer, kExecRoot.
static Entry add_container(Draft& d, uint64_t types) {
  const Slot container = d.b.slot();
  d.b.slot();
  return entry_by_pidfd(container, types);
}

std::vector<unsigned char> make_exec(const spec::Spec& spec, const spec::Process& process,
                                     const ExecRequest& request, const Host& host,
                                     Warnings& warnings) {
  Draft d = make_draft(spec, request, kNothingCreated, host, warnings);
  d.process = &process;
  d.lent_stdio = !request.waits;
  add_exec_affinity(d, process);
  Entry entry = add_container(d, request.join);
  if (request.into_cgroup) entry.clone_flags |= kCloneIntoCgroup;
  entry.uid = process.user.uid;
  entry.gid = process.user.gid;
  add_entry(d, entry);
  if ((request.join & CLONE_NEWNS) == 0) d.b.init("", EnterRoot{kExecRoot});
  if (!d.pids_last) d.b.init("", SetSession{});
  add_keyring_label(d, process);
  d.b.init("", Keyring{d.b.str(spec::cat("_ses.", request.id))}, OnError::kWarn);
  add_exec_process(d, process, request);
  return d.b.finish();
}

std::vector<unsigned char> make_hook(const spec::Spec& spec, const spec::Process& program,
                                     const HookRequest& request, const Host& host,
                                     Warnings& warnings) {
  Draft d = make_draft(spec, request, kNothingCreated, host, warnings);
  Entry entry = add_container(d, request.join);
  const Slot directory = d.b.slot();
  const Slot file = d.b.slot();
  // Its init is not in an existing pid namespace yet.
  const spec::LinuxNamespace* pids = find_namespace(spec, "pid");
  if (pids != nullptr && !pids->path.empty()) {
    entry.pids = d.b.slot();
    d.b.parent("linux.namespaces", OpenNamespace{d.b.str(pids->path), CLONE_NEWPID, entry.pids});
  }
  add_entry(d, entry);
  d.b.init("", EnterRoot{kExecRoot, directory});
  if (!d.pids_last) d.b.init("", SetSession{});
  d.b.init("", PreserveFds{3, file});
  add_late_fork(d, false);
  d.b.init("", Execute{d.b.strings(program.args), d.b.strings(program.env), file,
                       d.b.str(request.path)});
  return d.b.finish();
}

}  // namespace coracle::plan
