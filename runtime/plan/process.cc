#include "runtime/plan/process.h"

#include <linux/seccomp.h>

#include "runtime/plan/entry.h"
#include "runtime/plan/mounts.h"
#include "runtime/plan/seccomp.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

static void add_names(Draft& d) {
  if (!d.spec.hostname.empty()) d.b.init("hostname", Hostname{d.b.str(d.spec.hostname)});
  if (!d.spec.domainname.empty()) d.b.init("domainname", Domainname{d.b.str(d.spec.domainname)});
}

static void add_sysctls(Draft& d) {
  if (!d.spec.linux || d.spec.linux->sysctl.empty()) return;
  std::vector<SysctlValue> settings;
  for (const auto& [key, value] : d.spec.linux->sysctl) {
    const auto path = spec::sysctl_path(key);
    if (!path) throw Error::at(cat("linux.sysctl[", spec::quoted(key), "]"), "malformed key");
    settings.push_back({d.b.str(*path), d.b.str(value)});
  }
  // Those of a device are there only once it is.
  if (!d.spec.linux->netDevices.empty()) d.b.init("", Meet{});
  d.b.init("linux.sysctl", Sysctl{d.b.list(settings)});
}

static void check_console(const Draft& d, const spec::Process& process) {
  if (!process.terminal && d.request.has_console_socket)
    throw Error::at("process.terminal", "a console socket is given, but no terminal asked for");
  if (process.terminal && !d.request.has_console_socket && !d.request.start_follows)
    throw Error::at("process.terminal",
                    "a detached container with a terminal needs a console socket");
}

// Root of the machine may use them anyhow.
static void add_stdio_owner(Draft& d, uint32_t uid) {
  const bool outside =
      !d.lent_stdio && d.new_userns && d.host.initial_userns && d.host.euid == 0 && d.spec.linux;
  const uint32_t there = outside ? mapped_id(d.spec.linux->uidMappings, uid) : kNoId;
  if (there != kNoId) {
    d.b.parent("process.user.uid", StdioOwner{there});
  } else if (uid != 0 || d.new_userns) {
    d.b.init("process.user.uid", StdioOwner{uid});
  }
}

static void add_console(Draft& d, const spec::Process& process, bool exec) {
  check_console(d, process);
  const uint32_t uid = process.user.uid;
  if (!process.terminal) {
    add_stdio_owner(d, uid);
    return;
  }
  Console console{0, 0, uid, exec ? 0 : kConsoleBind};
  if (d.pids_last) console.flags |= kConsoleLater;
  if (process.consoleSize) {
    console.height = static_cast<uint16_t>(process.consoleSize->height);
    console.width = static_cast<uint16_t>(process.consoleSize->width);
    console.flags |= kConsoleSetSize;
  }
  d.b.init("process.terminal", console);
  d.b.parent("process.terminal", ConsoleSend{});
}

static void add_settings(Draft& d, const spec::Process& process, bool exec) {
  add_labels(d, process);
  if (process.noNewPrivileges) d.b.init("process.noNewPrivileges", NoNewPrivileges{});
  add_affinity(d, process, exec);
  add_scheduling(d, process);
  add_console(d, process, exec);
}

static void add_seccomp(Draft& d) {
  const seccomp::Program& filter = *d.request.seccomp;
  // A single thread has nobody to synchronise with; the other flag the kernel refuses without a
  // listener (seccomp(2)).
  const uint32_t useless = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
                           (filter.notify ? 0u : SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  d.b.init("linux.seccomp", SeccompFilter{d.b.list(filter.instructions), filter.flags & ~useless,
                                          filter.notify ? 1u : 0u});
  if (!filter.notify) return;
  const spec::LinuxSeccomp& seccomp = *d.spec.linux->seccomp;
  if (seccomp.listenerPath.empty())
    throw Error::at("linux.seccomp.listenerPath", "missing, but SCMP_ACT_NOTIFY is used");
  d.b.parent("linux.seccomp.listenerPath",
             SeccompListener{d.b.str(seccomp.listenerPath), d.b.str(seccomp.listenerMetadata)});
}

// The filter comes last, so that it need not allow what the init still does; a profile may be older
// than openat2(2). Without no_new_privs loading it takes CAP_SYS_ADMIN, which is kept until then
// and dropped right behind it: unless the container, which must not see a process of more rights
// than its own, sees the init from the last fork on. A listener must be handed over while the
// creator is there: before the wait.
enum class SeccompPlace { kNone, kBeforeFork, kBeforeWait, kLast };

static SeccompPlace seccomp_place(const Draft& d, const spec::Process& process) {
  if (d.request.seccomp == nullptr) return SeccompPlace::kNone;
  if (d.pids_last && !process.noNewPrivileges && !may_keep_admin(process))
    return SeccompPlace::kBeforeFork;
  return d.request.seccomp->notify ? SeccompPlace::kBeforeWait : SeccompPlace::kLast;
}

static void add_filter(Draft& d, const spec::Process& process) {
  add_seccomp(d);
  if (!process.noNewPrivileges) add_final_capabilities(d, process);
}

// "created" is true from the moment the init waits.
static void add_wait(Draft& d, Slot start, bool creates) {
  if (creates && !d.request.start_follows) add_dumpable(d, true);
  d.b.init("", AwaitStart{start});
  if (!creates) return;
  add_cgroup_leaf(d);
  d.b.parent("", RecordCreated{});
}

// What no fork hands down: a child of a task with a deadline cannot be made at all (sched(7)).
static void add_scheduler_of_child(Draft& d, const spec::Process& process) {
  if (process.scheduler) add_scheduler(d, *process.scheduler, Actor::kParent);
}

static void add_last(Draft& d, const spec::Process& process, const ExecRequest* exec) {
  const SeccompPlace seccomp = seccomp_place(d, process);
  const bool waits = exec == nullptr || exec->waits;
  const Slot start = d.request.start_follows ? kNoSlot : d.b.slot();
  add_rlimits(d, process);
  d.b.init("", PreserveFds{3 + d.host.listen_fds + d.request.preserve_fds, start});
  const bool filter_later = seccomp != SeccompPlace::kNone && !process.noNewPrivileges;
  const std::string_view path = exec != nullptr ? exec->path : std::string_view();
  const Program program = add_home_lookup(d, process, !path.empty());
  add_identity(d, process, exec != nullptr, filter_later);
  add_program_lookup(d, path.empty() ? process.args[0] : path, program);
  if (seccomp == SeccompPlace::kBeforeFork) add_filter(d, process);
  const bool forks = d.pids_last;
  add_late_fork(d, process.terminal);
  if (forks) add_scheduler_of_child(d, process);
  if (seccomp == SeccompPlace::kBeforeWait) add_filter(d, process);
  if (waits) {
    add_wait(d, start, exec == nullptr);
  } else {
    d.b.init("", Meet{});  // it may have to be moved into the cgroup
  }
  if (waits && exec == nullptr && !d.request.start_follows) add_dumpable(d, false);
  if (seccomp == SeccompPlace::kLast) add_filter(d, process);
  d.b.init("process.args", program.execute);
}

void add_process_early(Draft& d) {
  add_names(d);
  add_sysctls(d);
  if (!d.spec.process) return;
  add_settings(d, *d.spec.process, false);
  // A missing working directory can still be made; below, the root is read-only.
  if (d.spec.root && d.spec.root->readonly && d.spec.process->cwd != "/")
    d.b.init("process.cwd",
             WorkDir{d.b.str(d.spec.process->cwd), kWorkDirCreate | kWorkDirOnlyMake});
}

// Without a process there is nothing that `start` could do: it fails (runtime.md, "start").
static void add_no_process(Draft& d) {
  const Slot start = d.request.start_follows ? kNoSlot : d.b.slot();
  d.b.init("", PreserveFds{3 + d.host.listen_fds + d.request.preserve_fds, start});
  add_late_fork(d, false);
  add_wait(d, start, true);
  d.b.init("process", Execute{});
}

// Run by `start`, when the init is in its pid namespace.
static void check_start_hooks(const Draft& d) {
  const spec::LinuxNamespace* user = find_namespace(d.spec, "user");
  const bool joins = user != nullptr && !user->path.empty();
  if (d.host.traces || !joins || !d.spec.hooks || d.spec.hooks->startContainer.empty()) return;
  throw Error::at("hooks.startContainer",
                  "an ordinary user cannot run a hook inside a container that joins a user "
                  "namespace: leave the hook out, or create the container as root");
}

void add_process_late(Draft& d) {
  check_start_hooks(d);
  if (d.spec.process) {
    add_last(d, *d.spec.process, nullptr);
  } else {
    add_no_process(d);
  }
}

void add_exec_process(Draft& d, const spec::Process& process, const ExecRequest& request) {
  add_settings(d, process, true);
  add_last(d, process, &request);
}

}  // namespace coracle::plan
