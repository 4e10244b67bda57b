#include "runtime/engine/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/socket.h>

#include <charconv>

#include "runtime/engine/hints.h"
#include "runtime/engine/init_image.h"
#include "runtime/init/syscall.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/plan/builder.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::engine {

using init::ignore;
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
  int report;
  const int32_t* slots;
  uint32_t slot_count;
  uint32_t first_fd;
  uint64_t ignored_signals;
  int stdio[3];
  char plan_text[16];
  char size_text[16];
};

[[noreturn]] void leave(plan::Call call, long error, const Trampoline& t) {
  plan::Message m{};
  m.kind = plan::MessageKind::kFailure;
  m.call = call;
  m.step = UINT16_MAX;
  m.error = static_cast<int32_t>(-error);
  // Without it the parent finds the socket closed, and says that.
  ignore(syscall(__NR_sendto, t.sync, &m, sizeof(m), MSG_NOSIGNAL, 0, 0));
  init::exit_now(1);
}

void check(plan::Call call, long result, const Trampoline& t) {
  if (result < 0) leave(call, result, t);
}

// The payload's program must find default dispositions; exec keeps ignored signals ignored
// (signal(7)), so those that the caller ignores are reset one by one.
void reset_signals(const Trampoline& t) {
  const uint64_t none = 0;
  check(plan::Call::k_none, syscall(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof(none)), t);
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    uint64_t mask;
  } standard{};
  for (int signal = 1; signal <= 64; ++signal)
    if ((t.ignored_signals >> (signal - 1)) & 1)
      check(plan::Call::k_none, syscall(__NR_rt_sigaction, signal, &standard, 0, sizeof(uint64_t)),
            t);
}

void keep(int fd, const Trampoline& t) {
  check(plan::Call::k_none, syscall(__NR_fcntl, fd, F_SETFD, 0), t);
}

void keep_descriptors(const Trampoline& t) {
  for (int fd = 0; fd < 3; ++fd)
    if (t.stdio[fd] >= 0) check(plan::Call::k_dup, syscall(__NR_dup3, t.stdio[fd], fd, 0), t);
  check(plan::Call::k_close_range, syscall(__NR_close_range, t.first_fd, ~0U, CLOSE_RANGE_CLOEXEC),
        t);
  keep(t.plan, t);
  keep(t.sync, t);
  keep(t.report, t);
  for (uint32_t i = 0; i < t.slot_count; ++i)
    if (t.slots[i] >= 0) keep(t.slots[i], t);
}

[[noreturn]] void enter_init(const Trampoline& t) {
  reset_signals(t);
  keep_descriptors(t);
  const char* argv[] = {"coracle-init", t.plan_text, t.size_text, nullptr};
  const char* envp[] = {nullptr};
  leave(plan::Call::k_execve, syscall(__NR_execveat, t.init, "", argv, envp, AT_EMPTY_PATH), t);
}

void print_number(char (&text)[16], uint64_t number) {
  const auto end = std::to_chars(text, text + sizeof(text) - 1, number);
  *end.ptr = '\0';
}

Trampoline make_trampoline(const Launch& l, int init, int plan, int sync) {
  const auto& header = *reinterpret_cast<const plan::Header*>(l.block.data());
  Trampoline t{};
  t.init = init;
  t.plan = plan;
  t.sync = sync;
  t.report = l.report.get();
  t.slots = reinterpret_cast<const int32_t*>(l.block.data() + header.slots.off);
  t.slot_count = header.slots.count;
  t.first_fd = l.first_fd;
  const int r = sys::ignored_signals(t.ignored_signals);
  if (r < 0) throw Error("/proc/self/status", r);
  for (int fd = 0; fd < 3; ++fd) t.stdio[fd] = l.stdio != nullptr ? l.stdio[fd]->get() : -1;
  print_number(t.plan_text, static_cast<uint64_t>(plan));
  print_number(t.size_text, header.size);
  return t;
}

clone_args clone_arguments(const Launch& l, int* pidfd) {
  clone_args args{};
  args.flags = l.clone.namespaces | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = reinterpret_cast<uintptr_t>(pidfd);
  args.exit_signal = SIGCHLD;
  if (l.cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;  // never moved later: a move costs milliseconds
    args.cgroup = static_cast<uint64_t>(l.cgroup);
  }
  return args;
}

// clone(2) knows neither of the flags above 32 bits, and takes CLONE_NEWTIME for a signal. Handlers
// of ours, which it leaves, end with the exec.
long clone_without_clone3(const clone_args& args, int* pidfd) {
  if ((args.flags & (CLONE_INTO_CGROUP | CLONE_NEWTIME)) != 0) return -ENOSYS;
  const uint64_t flags = (args.flags & ~uint64_t{CLONE_CLEAR_SIGHAND}) | SIGCHLD;
  return syscall(__NR_clone, flags, 0, pidfd, 0, 0);
}

long clone_init(const Launch& l, const Trampoline& t, int& pidfd) {
  clone_args args = clone_arguments(l, &pidfd);
  long pid = syscall(__NR_clone3, &args, sizeof(args));
  if (pid == 0) enter_init(t);
  if (pid != -ENOSYS) return pid;
  pid = clone_without_clone3(args, &pidfd);
  if (pid == 0) enter_init(t);
  return pid;
}

void tell_setup(const Launch& l) {
  if (!log::enabled(log::Level::kDebug)) return;
  const plan::View view(l.block.data());
  uint32_t own = 0;
  uint32_t joins = 0;
  for (const plan::Step& step : view) {
    own += step.actor == plan::Actor::kInit ? 1 : 0;
    joins += step.op == plan::Op::kJoin ? 1 : 0;
  }
  log::debug(cat(messages::kDebugSetup, ": the init has ", own, " of ", view.header().step_count,
                 " steps to do, and joins namespaces ", joins, " times"));
  for (const plan::Step& step : view) {
    if (step.op != plan::Op::kSeccompFilter) continue;
    const auto& filter = step.as<plan::SeccompFilter>();
    const uint32_t listener = filter.notify != 0 ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    log::debug(cat(messages::kDebugFilter, filter.flags | listener));
  }
}

sys::Fd make_channel(Channel& ours) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
    throw Error("socketpair", errno);
  ours = Channel(sys::Fd(pair[0]));
  return sys::Fd(pair[1]);
}

}  // namespace

Child launch(const Launch& l) {
  tell_setup(l);
  Child child;
  const sys::Fd sync = make_channel(child.channel);
  auto& header = *reinterpret_cast<plan::Header*>(l.block.data());
  header.sync_fd = sync.get();
  header.report_fd = l.report.get();
  header.hold = l.hold ? 1 : 0;

  child.init = open_init(l.state_root);
  if (!child.init) throw Error("preparing the init", child.init.error());
  child.plan = sealed_copy("coracle-plan", l.block.data(), l.block.size(), 0);
  if (!child.plan) throw Error("preparing the plan", child.plan.error());

  const Trampoline trampoline = make_trampoline(l, child.init.get(), child.plan.get(), sync.get());
  int pidfd = -1;
  const long pid = clone_init(l, trampoline, pidfd);
  if (pid < 0) throw Error("linux.namespaces: clone", static_cast<int>(-pid));
  child.pid = static_cast<pid_t>(pid);
  child.pidfd = sys::Fd(pidfd);
  if (log::enabled(log::Level::kDebug)) log::debug(cat(messages::kDebugChild, ": pid ", pid));
  return child;
}

}  // namespace coracle::engine
