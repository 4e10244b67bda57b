// Hooks at their place in a container's life: the state they are told, and where they run.
#include "hooks/hooks.h"

#include <fcntl.h>

#include <optional>

#include "runtime/container/filter.h"
#include "runtime/container/join.h"
#include "runtime/container/lifecycle.h"
#include "runtime/host/host.h"
#include "runtime/log.h"
#include "runtime/plan/plan.h"
#include "runtime/store/state_document.h"
#include "runtime/sys/file.h"
#include "spec/annotations.h"
#include "spec/documents.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::container {

using plan::HookKind;

static const std::vector<spec::Hook>& hooks_of(const spec::Hooks& h, HookKind kind) {
  switch (kind) {
    case HookKind::kPrestart:
      return h.prestart;
    case HookKind::kCreateRuntime:
      return h.createRuntime;
    case HookKind::kCreateContainer:
      return h.createContainer;
    case HookKind::kStartContainer:
      return h.startContainer;
    case HookKind::kPoststart:
      return h.poststart;
    case HookKind::kPoststop:
      break;
  }
  return h.poststop;
}

static bool is_inside(HookKind kind) {
  return kind == HookKind::kCreateContainer || kind == HookKind::kStartContainer;
}

// The pid is the one that the hook sees.
static std::string state_text(HookKind kind, const store::Container& container,
                              store::Status status) {
  spec::State state = store::state_of(container.record(), status, "");
  if (is_inside(kind) && container.record().own_pids) state.pid = 1;
  return spec::state_json(state, spec::JsonStyle::kCompact);
}

// Where a copy of what hooks print goes. Not waiting for the reader of a fifo. A container can be
// deleted without it.
static sys::Fd open_output(HookKind kind, const spec::Spec& spec, std::string_view key) {
  const std::string path(spec::find(spec.annotations, key));
  if (path.empty()) return {};
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  sys::Fd file = sys::open_at(sys::At::cwd(), path.c_str(), kFlags, 0, 0600);
  if (file) return file;
  const std::string what = spec::cat("annotation ", key, ": ", path);
  if (kind != HookKind::kPoststop) throw spec::Error(what, file.error());
  log::warning(spec::Error(what, file.error()).what());
  return {};
}

// ---- the kinds that run inside ----------------------------------------------------------------

namespace {

// What a hook inside is started with: its three pipes, above 2.
using Stdio = const sys::Fd* const*;

class Inside {
 public:
  Inside(const spec::Spec& spec, store::Container& container, store::Status status)
      : spec_(spec),
        container_(container),
        status_(status),
        root_(container.path().substr(0, container.path().rfind('/'))),
        first_(container),
        host_(host::probe_host(spec)) {
    host_.listen_fds = 0;  // the program's
  }

  sys::Started start(HookKind kind, const hooks::Program& program, Stdio stdio) {
    return kind == HookKind::kStartContainer ? start_in_image(program, stdio)
                                             : start_before_pivot(program, stdio);
  }

 private:
  // The program comes out of the image: it gets what the container's process gets, by the same
  // plan.
  sys::Started start_in_image(const hooks::Program& program, Stdio stdio) {
    spec::Process process = spec_.process ? *spec_.process : spec::Process();
    process.args = views(program.args);
    process.env = views(program.env);
    process.cwd = "/";
    process.terminal = false;
    process.execCPUAffinity.reset();
    plan::ExecRequest request;
    request.id = container_.id();
    request.start_follows = true;
    request.waits = false;
    request.join = container_.record().namespaces;
    request.into_cgroup = !container_.record().cgroup_path.empty();
    request.path = program.path;
    const auto filter = filter_of(spec_, told_before_);
    if (filter) request.seccomp = &*filter;
    block_ = plan::make_exec(spec_, process, request, host_, told_before_);
    JoinRequest how{setting(stdio), first_, request.join};
    how.cgroup = cgroup_of_process(container_, spec_, first_);
    return started(how);
  }

  // The host's program, in the container's namespaces, with the host's files around it.
  sys::Started start_before_pivot(const hooks::Program& program, Stdio stdio) {
    spec::Process process;
    process.args = views(program.args);
    process.env = views(program.env);
    plan::HookRequest request;
    request.id = container_.id();
    request.join = container_.record().namespaces;
    request.path = program.path;
    block_ = plan::make_hook(spec_, process, request, host_, told_before_);
    JoinRequest how{setting(stdio), first_, request.join};
    how.own_root = true;
    how.fill = [&](engine::Walk& walk) {
      walk.slots.set(plan::kHookDirectory, first_.open("cwd", O_PATH | O_DIRECTORY));
      sys::Fd file = sys::open_at(sys::At::cwd(), std::string(program.path).c_str(), O_PATH);
      if (!file) throw spec::Error(spec::cat("open ", program.path), file.error());
      walk.slots.set(plan::kHookProgram, std::move(file));
    };
    return started(how);
  }

  const engine::Setting& setting(Stdio stdio) {
    setting_.emplace(engine::Setting{block_, container_, root_, status_, 3, "", false, stdio});
    return *setting_;
  }

  static sys::Started started(const JoinRequest& how) {
    const auto walk = join(how);
    walk->await_program();
    engine::Child child = walk->release();
    return {child.pid, std::move(child.pidfd), ""};
  }

  static spec::Strings views(const std::vector<std::string>& words) {
    return {words.begin(), words.end()};
  }

  const spec::Spec& spec_;
  store::Container& container_;
  const store::Status status_;
  const std::string root_;
  const FirstProcess first_;
  plan::Host host_;
  plan::Warnings told_before_;  // when the container's own plan was made
  std::vector<unsigned char> block_;
  std::optional<engine::Setting> setting_;
};

}  // namespace

void run_hooks(HookKind kind, const spec::Spec& spec, store::Container& container,
               store::Status status) {
  if (!spec.hooks) return;
  const std::vector<spec::Hook>& list = hooks_of(*spec.hooks, kind);
  if (list.empty()) return;
  hooks::Options options;
  options.bundle = container.record().bundle;
  std::optional<Inside> inside;
  if (is_inside(kind)) {
    inside.emplace(spec, container, status);
    options.start = [&](const hooks::Program& program, Stdio stdio) {
      return inside->start(kind, program, stdio);
    };
  }
  const sys::Fd out = open_output(kind, spec, spec::kHooksStdout);
  const sys::Fd err = open_output(kind, spec, spec::kHooksStderr);
  if (out) options.output = &out;
  if (err) options.error = &err;
  std::vector<std::string> warnings;
  hooks::run_hooks(static_cast<hooks::Kind>(kind), list, state_text(kind, container, status),
                   options, warnings);
  for (const std::string& warning : warnings) log::warning(warning);
}

void run_hooks_unlocked(HookKind kind, const spec::Spec& spec, store::Container& container,
                        store::Status status) {
  if (!spec.hooks || hooks_of(*spec.hooks, kind).empty()) return;
  container.unlock();
  try {
    run_hooks(kind, spec, container, status);
  } catch (...) {
    container.lock();
    throw;
  }
  container.lock();
}

static_assert(static_cast<int>(HookKind::kPoststop) == static_cast<int>(hooks::Kind::kPoststop));

}  // namespace coracle::container
