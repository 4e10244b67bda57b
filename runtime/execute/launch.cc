#include "runtime/execute/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/execute/denied.h"
#include "runtime/execute/init_image.h"
#include "runtime/init/namespaces.h"
#include "runtime/init/syscall.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/plan/builder.h"
#include "runtime/plan/namespaces.h"
#include "runtime/sys/child_stack.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::execute {

using init::syscall;
using spec::cat;
using spec::Error;

namespace {

// Everything the child needs between clone3 and execveat, laid out before: the child allocates
// nothing, locks nothing and formats nothing.
struct Trampoline {
  int init;
  int plan;
  int sync;
  const int32_t* slots;
  uint32_t slot_count;
  uint32_t first_fd;
  uint64_t ignored_signals;
  uint32_t uid;
  uint32_t gid;
  int user_namespace;  // a pidfd of who is in the one that the child joins itself; -1: none
  bool await_maps;
  bool in_userns;
  char plan_text[16];
  char size_text[16];
};

// How far the launcher came; in memory that both sides see.
struct Outcome {
  long pid;  // or -errno; 0: nothing was told yet
  int pidfd;
  int failed_join;  // index of the join that failed; -1: the clone, -2: the time offsets
};

struct Launcher {
  const plan::Join* joins;
  const int32_t* slots;
  uint32_t join_count;
  const char* time_offsets;
  bool user_first;  // kCloneUserFirst
  clone_args args;
  const Trampoline* trampoline;
  Outcome* outcome;
};

[[noreturn]] void leave(plan::Call call, long error, const Trampoline& t) {
  plan::Message m{};
  m.kind = plan::MessageKind::kFailure;
  m.call = call;
  m.step = UINT16_MAX;
  m.error = static_cast<int32_t>(-error);
  syscall(__NR_sendto, t.sync, &m, sizeof(m), MSG_NOSIGNAL, 0, 0);
  syscall(__NR_exit_group, 1);
  __builtin_unreachable();
}

// Until the parent has written the id maps. Its death ends the socket.
void await_maps(const Trampoline& t) {
  plan::Message m;
  if (syscall(__NR_read, t.sync, &m, sizeof(m)) != static_cast<long>(sizeof(m)))
    syscall(__NR_exit_group, 1);
}

// Root is not mapped: an exec would drop all capabilities, unless they are ambient.
// In the namespace's own ids, because what the init makes in its file systems needs an owner.
void carry_capabilities(const Trampoline& t) {
  syscall(__NR_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
  syscall(__NR_setresgid, t.gid, t.gid, t.gid);
  syscall(__NR_setresuid, t.uid, t.uid, t.uid);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  syscall(__NR_capget, &header, data);
  for (__user_cap_data_struct& half : data) half.effective = half.inheritable = half.permitted;
  syscall(__NR_capset, &header, data);
  for (int cap = 0; cap < 64; ++cap)
    syscall(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

void become_root_inside(const Trampoline& t) {
  const long gid = syscall(__NR_setresgid, 0, 0, 0);
  const long uid = syscall(__NR_setresuid, 0, 0, 0);
  if (gid < 0 || uid < 0) carry_capabilities(t);
}

// The payload's program must find default dispositions; exec keeps ignored signals ignored
// (signal(7)), so those few the caller ignores are reset one by one.
void reset_signals(const Trampoline& t) {
  const uint64_t none = 0;
  syscall(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof(none));
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    uint64_t mask;
  } standard{};
  for (int signal = 1; signal <= 64; ++signal)
    if ((t.ignored_signals >> (signal - 1)) & 1)
      syscall(__NR_rt_sigaction, signal, &standard, 0, sizeof(uint64_t));
}

void join_user_namespace(const Trampoline& t) {
  if (t.user_namespace < 0) return;
  const long r = syscall(__NR_setns, t.user_namespace, CLONE_NEWUSER);
  if (r < 0) leave(plan::Call::k_setns, r, t);
}

[[noreturn]] CORACLE_ON_CHILD_STACK void enter_init(const Trampoline& t) {
  join_user_namespace(t);
  if (t.await_maps) await_maps(t);
  if (t.in_userns) become_root_inside(t);
  reset_signals(t);
  syscall(__NR_close_range, t.first_fd, ~0U, CLOSE_RANGE_CLOEXEC);
  syscall(__NR_fcntl, t.plan, F_SETFD, 0);
  syscall(__NR_fcntl, t.sync, F_SETFD, 0);
  for (uint32_t i = 0; i < t.slot_count; ++i)
    if (t.slots[i] >= 0) syscall(__NR_fcntl, t.slots[i], F_SETFD, 0);
  const char* argv[] = {"coracle-init", t.plan_text, t.size_text, nullptr};
  const char* envp[] = {nullptr};
  const long r = syscall(__NR_execveat, t.init, "", argv, envp, AT_EMPTY_PATH);
  leave(plan::Call::k_execve, r, t);
}

// Joins, then clones the init as a child of the launcher's parent (CLONE_PARENT), and is gone.
CORACLE_ON_CHILD_STACK int launcher_main(void* argument) {
  auto& l = *static_cast<Launcher*>(argument);
  const uint32_t left = l.trampoline->user_namespace < 0 ? 0 : CLONE_NEWUSER;
  for (uint32_t i = 0; i < l.join_count; ++i) {
    const uint32_t types = l.joins[i].nstype & ~left;
    const long r = types == 0 ? 0 : syscall(__NR_setns, l.slots[l.joins[i].slot], types);
    if (r < 0) {
      *l.outcome = {r, -1, static_cast<int>(i)};
      return 1;
    }
  }
  uint64_t made = 0;
  if (l.user_first) {
    made = CLONE_NEWUSER;
    const long r = syscall(__NR_unshare, made);
    if (r < 0) {
      *l.outcome = {r, -1, -1};
      return 1;
    }
  }
  if (l.time_offsets != nullptr) {
    const long r = init::enter_time_namespace(l.time_offsets);
    if (r < 0) {
      *l.outcome = {r, -1, -2};
      return 1;
    }
  }
  l.args.flags = (l.args.flags & ~made) | CLONE_PARENT;
  l.args.exit_signal = 0;  // the parent's: SIGCHLD
  const long pid = syscall(__NR_clone3, &l.args, sizeof(l.args));
  if (pid == 0) enter_init(*l.trampoline);
  l.outcome->pid = pid;
  l.outcome->failed_join = -1;
  return 0;
}

Error clone_failure(uint64_t flags, int error) {
  Error told("linux.namespaces: clone", error);
  const std::string why = (flags & CLONE_NEWUSER) != 0 ? why_no_userns(error) : "";
  return why.empty() ? told : Error(cat(told.what(), ": ", why), error);
}

[[noreturn]] void throw_outcome(const Launcher& l, const Outcome& outcome) {
  const int error = static_cast<int>(-outcome.pid);
  if (outcome.failed_join == -2) throw Error("linux.timeOffsets: /proc/self/timens_offsets", error);
  if (outcome.failed_join == -1) throw clone_failure(l.args.flags, error);
  const uint32_t type = l.joins[outcome.failed_join].nstype;
  throw Error(cat("linux.namespaces: join ", plan::namespace_name(type), " namespace"), error);
}

// setns of a time namespace wants an address space of one's own (timens_install in the kernel).
bool joins_time(const Launcher& l) {
  for (uint32_t i = 0; i < l.join_count; ++i)
    if ((l.joins[i].nstype & CLONE_NEWTIME) != 0) return true;
  return false;
}

long run_launcher(Launcher& l, int& pidfd) {
  sys::ChildStack<Outcome> page;
  if (!page) throw Error("mmap for the launcher", errno);
  l.outcome = page.outcome();
  *l.outcome = {0, -1, -1};
  l.args.pidfd = reinterpret_cast<uintptr_t>(&l.outcome->pidfd);
  int flags = CLONE_VFORK | CLONE_FILES | SIGCHLD;
  if (!joins_time(l)) flags |= CLONE_VM;
  const pid_t launcher = ::clone(launcher_main, page.top(), flags, &l);
  if (launcher < 0) throw Error("clone of the launcher", errno);
  int status = 0;
  while (waitpid(launcher, &status, __WALL) < 0 && errno == EINTR) {
  }
  const Outcome outcome = *page.outcome();
  if (outcome.pid == 0)
    throw Error(cat("linux.namespaces: the launcher ended early: ", sys::how_ended(status)));
  if (outcome.pid < 0) throw_outcome(l, outcome);
  pidfd = outcome.pidfd;
  return outcome.pid;
}

void print_number(char (&text)[16], uint64_t number) {
  const auto end = std::to_chars(text, text + sizeof(text) - 1, number);
  *end.ptr = '\0';
}

}  // namespace

static clone_args clone_arguments(const Launch& l, int* pidfd) {
  clone_args args{};
  args.flags = l.clone.namespaces | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = reinterpret_cast<uintptr_t>(pidfd);
  args.exit_signal = SIGCHLD;
  if ((l.clone.flags & plan::kCloneIntoCgroup) != 0 && l.cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;  // never moved later: a move costs milliseconds
    args.cgroup = static_cast<uint64_t>(l.cgroup);
  }
  return args;
}

// See kCloneUserLast.
static int left_user_namespace(const Launch& l, const int32_t* slots) {
  if ((l.clone.flags & plan::kCloneUserLast) == 0) return -1;
  const plan::View view(l.block.data());
  for (uint32_t i = 0; i < l.clone.join.count; ++i) {
    const plan::Join& join = view.list<plan::Join>(l.clone.join)[i];
    if ((join.nstype & CLONE_NEWUSER) != 0) return slots[join.slot];
  }
  return -1;
}

static Trampoline make_trampoline(const Launch& l, int init, int plan, int sync) {
  auto& header = *reinterpret_cast<plan::Header*>(l.block.data());
  Trampoline t{};
  t.init = init;
  t.plan = plan;
  t.sync = sync;
  t.slots = reinterpret_cast<const int32_t*>(l.block.data() + header.slots.off);
  t.slot_count = header.slots.count;
  t.first_fd = l.first_fd;
  t.ignored_signals = l.ignored_signals;
  t.user_namespace = left_user_namespace(l, t.slots);
  t.uid = l.clone.uid;
  t.gid = l.clone.gid;
  t.await_maps = l.await_go || (l.clone.flags & plan::kCloneAwaitMaps) != 0;
  t.in_userns = (l.clone.flags & plan::kCloneInUserns) != 0;
  print_number(t.plan_text, static_cast<uint64_t>(plan));
  print_number(t.size_text, header.size);
  return t;
}

static void tell_setup(const Launch& l) {
  if (!log::enabled(log::Level::kDebug)) return;
  const plan::View view(l.block.data());
  uint32_t own = 0;
  for (const plan::Step& step : view) own += step.actor == plan::Actor::kInit ? 1 : 0;
  log::debug(cat(messages::kDebugSetup, ": the init has ", own, " of ", view.header().step_count,
                 " steps to do, and joins ", l.clone.join.count, " namespaces"));
  for (const plan::Step& step : view) {
    if (step.op != plan::Op::kSeccompFilter) continue;
    const auto& filter = step.as<plan::SeccompFilter>();
    const uint32_t listener = filter.notify != 0 ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    log::debug(cat(messages::kDebugFilter, filter.flags | listener));
  }
}

Child launch(const Launch& l) {
  tell_setup(l);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
    throw Error("socketpair", errno);
  Child child;
  child.channel = Channel(sys::Fd(pair[0]));
  const sys::Fd sync(pair[1]);
  reinterpret_cast<plan::Header*>(l.block.data())->sync_fd = sync.get();

  sys::Fd init = open_init(l.state_root);
  if (!init) throw Error("preparing the init", init.error());
  sys::Fd plan = sealed_copy("coracle-plan", l.block.data(), l.block.size(), 0);
  if (!plan) throw Error("preparing the plan", plan.error());

  const Trampoline trampoline = make_trampoline(l, init.get(), plan.get(), sync.get());
  int pidfd = -1;
  clone_args args = clone_arguments(l, &pidfd);
  const plan::View view(l.block.data());
  long pid;
  if (l.clone.join.count == 0 && l.clone.time_offsets.off == 0) {
    pid = syscall(__NR_clone3, &args, sizeof(args));
    if (pid == 0) enter_init(trampoline);
    if (pid < 0) throw clone_failure(args.flags, static_cast<int>(-pid));
  } else {
    Launcher launcher{view.list<plan::Join>(l.clone.join),
                      trampoline.slots,
                      l.clone.join.count,
                      view.c_str(l.clone.time_offsets),
                      (l.clone.flags & plan::kCloneUserFirst) != 0,
                      args,
                      &trampoline,
                      nullptr};
    pid = run_launcher(launcher, pidfd);
  }
  child.pid = static_cast<pid_t>(pid);
  child.pidfd = sys::Fd(pidfd);
  if (log::enabled(log::Level::kDebug)) log::debug(cat(messages::kDebugChild, ": pid ", pid));
  child.init = std::move(init);
  child.plan = std::move(plan);
  return child;
}

}  // namespace coracle::execute
