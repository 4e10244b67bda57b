// Hooks at their place in a container's life: the state they are told, and where they run.
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/stat.h>

#include "hooks/hooks.h"
#include "runtime/cgroup/fs.h"
#include "runtime/execute/filter.h"
#include "runtime/execute/lifecycle.h"
#include "runtime/init/home.h"
#include "runtime/log.h"
#include "runtime/plan/process.h"
#include "runtime/store/state_document.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "spec/annotations.h"
#include "spec/capabilities.h"
#include "spec/documents.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::execute {

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

// A startContainer hook's program comes out of the image: it gets no more than the container's
// process will have.
static sys::Confinement confinement_of(const spec::Spec& spec) {
  sys::Confinement c;
  if (!spec.process) return c;
  const spec::Process& p = *spec.process;
  c.uid = p.user.uid;
  c.gid = p.user.gid;
  c.groups = p.user.additionalGids.data();
  c.group_count = static_cast<uint32_t>(p.user.additionalGids.size());
  c.no_new_privileges = p.noNewPrivileges;
  if (!p.capabilities) return c;
  std::vector<std::string> told_before;  // when the plan was made
  const spec::CapabilitySets sets = spec::resolve_capabilities(*p.capabilities, true, told_before);
  c.bounding = sets.bounding;
  c.effective = sets.effective;
  c.permitted = sets.permitted;
  c.inheritable = sets.inheritable;
  c.ambient = sets.ambient;
  return c;
}

// Where its processes are: only a leaf may have any.
static cgroup::Cgroup cgroup_of(const spec::Spec& spec, const store::Container& container) {
  const std::string& path = container.record().cgroup_path;
  if (path.empty()) return {};
  cgroup::Cgroup own = cgroup::open(cgroup::open_mount(), path);
  const std::string_view leaf = spec::find(spec.annotations, spec::kDelegateCgroup);
  return leaf.empty() ? std::move(own) : cgroup::open_sub(own, leaf);
}

// None where the profile asks an agent: it waits for the container's process, not for a hook.
static plan::seccomp::Program filter_without_agent(const spec::Spec& spec,
                                                   const store::Container& container) {
  const bool asks = spec.linux && spec.linux->seccomp && !spec.linux->seccomp->listenerPath.empty();
  if (asks) return {};
  std::vector<std::string> told_before;
  const std::string root = container.path().substr(0, container.path().rfind('/'));
  return filter_of(root, spec, told_before).value_or(plan::seccomp::Program());
}

// As the init finds it for the program (find_home): "/" where the container does not say.
static std::string home_of(uint32_t uid, pid_t init) {
  const std::string root_path = spec::cat("/proc/", init, "/root");
  const sys::Fd root = sys::open_at(sys::At::cwd(), root_path.c_str(), O_PATH | O_DIRECTORY);
  if (!root) return "/";
  const sys::Fd file = sys::open_at(root, "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY,
                                    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  struct stat st;
  std::string passwd;
  constexpr size_t kMostBytes = 4 << 20;
  if (!file || sys::stat_fd(file, st) < 0 || !S_ISREG(st.st_mode)) return "/";
  if (sys::read_all(file, passwd, kMostBytes) < 0) return "/";
  char home[512];
  init::HomeFinder finder(uid, home, sizeof(home));
  return finder.read(passwd.data(), passwd.size()) || finder.finish() ? home : "/";
}

// What a startContainer hook has that brings no environment of its own.
static std::vector<std::string> program_environment(const spec::Spec& spec, pid_t init) {
  if (!spec.process) return {};
  const plan::Environment e = plan::make_environment(*spec.process, 0);
  std::vector<std::string> entries(e.entries.begin(), e.entries.end());
  if (e.needs_home) entries.push_back("HOME=" + home_of(spec.process->user.uid, init));
  return entries;
}

static bool has_pid_namespace(const spec::Spec& spec) {
  const spec::LinuxNamespace* ns = find_namespace(spec, "pid");
  return ns != nullptr && ns->path.empty();
}

static std::string state_text(HookKind kind, const spec::Spec& spec,
                              const store::Container& container, store::Status status) {
  spec::State state = store::state_of(container.record(), status, "");
  if (kind == HookKind::kStartContainer && has_pid_namespace(spec)) state.pid = 1;
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

void run_hooks(HookKind kind, const spec::Spec& spec, const store::Container& container,
               store::Status status, const sys::Fd* init) {
  if (!spec.hooks) return;
  const std::vector<spec::Hook>& list = hooks_of(*spec.hooks, kind);
  if (list.empty()) return;
  sys::Confinement confinement = confinement_of(spec);
  cgroup::Cgroup cgroup;
  plan::seccomp::Program filter;
  hooks::Container inside;
  if (kind == HookKind::kStartContainer) {
    cgroup = cgroup_of(spec, container);
    filter = filter_without_agent(spec, container);
    confinement.filter = filter.instructions.data();
    confinement.filter_size = static_cast<uint32_t>(filter.instructions.size());
    confinement.filter_flags = filter.flags;
    if (cgroup.dir) inside.cgroup = &cgroup.dir;
  }
  inside.pid = container.record().process.pid;
  inside.pidfd = init;
  inside.confine = &confinement;
  hooks::Options options;
  options.bundle = container.record().bundle;
  if (init != nullptr) options.container = &inside;
  if (kind == HookKind::kStartContainer)
    options.program_env = program_environment(spec, inside.pid);
  const sys::Fd out = open_output(kind, spec, spec::kHooksStdout);
  const sys::Fd err = open_output(kind, spec, spec::kHooksStderr);
  if (out) options.output = &out;
  if (err) options.error = &err;
  std::vector<std::string> warnings;
  hooks::run_hooks(static_cast<hooks::Kind>(kind), list, state_text(kind, spec, container, status),
                   options, warnings);
  for (const std::string& warning : warnings) log::warning(warning);
}

void run_hooks_unlocked(HookKind kind, const spec::Spec& spec, store::Container& container,
                        store::Status status) {
  if (!spec.hooks || hooks_of(*spec.hooks, kind).empty()) return;
  container.unlock();
  try {
    run_hooks(kind, spec, container, status, nullptr);
  } catch (...) {
    container.lock();
    throw;
  }
  container.lock();
}

static_assert(static_cast<int>(HookKind::kPoststop) == static_cast<int>(hooks::Kind::kPoststop));

}  // namespace coracle::execute
