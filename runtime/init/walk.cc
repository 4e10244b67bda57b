#include "runtime/init/walk.h"

#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/signal.h>

#include "runtime/init/namespaces.h"
#include "runtime/init/socket.h"
#include "runtime/init/syscall.h"

namespace coracle::init {

using plan::Actor;
using plan::Call;
using plan::Message;
using plan::MessageKind;
using plan::OnError;
using plan::Op;
using plan::Step;

static constexpr long kEPERM = 1;
static constexpr long kENOENT = 2;
static constexpr long kENOTDIR = 20;
static constexpr long kENOSYS = 38;
static constexpr long kEPIPE = 32;
static constexpr long kEINTR = 4;

static Message make_message(const Context& c, MessageKind kind, uint16_t step, long error) {
  Message m;
  m.kind = kind;
  m.call = c.call;
  m.step = step;
  m.error = static_cast<int32_t>(error < 0 ? -error : error);
  m.extra = c.extra;
  for (unsigned i = 0; i < sizeof(m.text); ++i) m.text[i] = c.text[i];
  m.text[sizeof(m.text) - 1] = '\0';
  return m;
}

long send_message(Context& c, MessageKind kind, uint16_t step, long error, int fd) {
  const Message m = make_message(c, kind, step, error);
  if (kind == MessageKind::kFailure) c.report->failure = m;
  return send_with_fd(c.start >= 0 ? c.start : c.sync, &m, sizeof(m), fd);
}

// What cannot be sent is in the report, which the parent reads once the socket has closed.
static void tell_failure(Context& c, uint16_t index, long result) {
  ignore(send_message(c, MessageKind::kFailure, index, result));
}

long await_go(int socket) {
  Message m;
  for (;;) {
    const long n = syscall(__NR_read, socket, &m, sizeof(m));
    if (n == -kEINTR) continue;
    if (n < 0) return n;
    if (n == 0) return -kEPIPE;
    // NOLINTNEXTLINE(clang-analyzer-core.*): it does not see what the kernel writes
    if (n == sizeof(m) && m.kind == MessageKind::kGo) return 0;
  }
}

// The other side is there, but the socket is broken.
static long or_report(Context& c, uint16_t index, long result) {
  if (result < 0 && result != -kEPIPE) {
    c.call = Call::k_read;
    tell_failure(c, index, result);
  }
  return result;
}

// Without a commit by the parent there is no record that names this process: it must not stay.
[[noreturn]] static void leave() { exit_now(1); }

// What ends a process that has no handler, but not the first one of a pid namespace: the kernel
// drops signals that it did not ask for (pid_namespaces(7)). Who waits has nothing to clean up, and
// exec(2) takes the handlers away.
static void end_by_signal(int signal) { exit_now(128 + signal); }

// Without one of them the container is still ended by SIGKILL.
static void let_signals_end_us() {
  constexpr unsigned long kRestorer = 0x04000000;  // SA_RESTORER, without which x86 makes no frame
  const struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(int);  // never reached
    uint64_t mask;
  } action{end_by_signal, kRestorer, end_by_signal, 0};
  static constexpr int kSignals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
  for (const int signal : kSignals)
    ignore(syscall(__NR_rt_sigaction, signal, &action, 0, sizeof(action.mask)));
}

// Until the program is wanted. The creator's death before this point kills us by PR_SET_PDEATHSIG;
// from here on its half of the sync socket says so. (The signal is cleared first: a creator that
// commits and exits at once must not take us with it.)
static void await_start(Context& c, const plan::AwaitStart& p, uint16_t index) {
  if (syscall(__NR_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0) {
    c.call = Call::k_prctl;
    tell_failure(c, index, -kEPERM);
    leave();
  }
  if (p.slot != plan::kNoSlot) let_signals_end_us();
  if (send_message(c, MessageKind::kReached, index, 0) < 0) leave();
  if (or_report(c, index, await_go(c.sync)) < 0) leave();
  if (p.slot == plan::kNoSlot) return;  // `run`: the commit is the start
  close_fd(c.sync);
  c.sync = -1;
  for (;;) {
    const long connection = syscall(__NR_accept4, c.fd(p.slot), 0, 0, O_CLOEXEC);
    if (connection < 0) continue;  // EINTR, ECONNABORTED: wait for the next
    c.start = static_cast<int>(connection);
    if (await_go(c.start) == 0) break;
    close_fd(connection);  // a `start` that died before it was sure
    c.start = -1;
  }
  close_fd(c.fd(p.slot));
}

static bool skipped(const Step& step, long result) {
  return step.on_error == OnError::kSkipMissing && (result == -kENOENT || result == -kENOTDIR);
}

static void do_step(Context& c, const Step& step, uint16_t index) {
  c.call = Call::k_none;
  c.extra = 0;
  c.text[0] = '\0';
  const long result =
      step.op == Op::kFork ? fork_into(c, step.as<plan::Fork>()) : run_step(c, step);
  if (result >= 0 || skipped(step, result)) return;
  if (step.on_error == OnError::kWarn && send_message(c, MessageKind::kWarning, index, result) >= 0)
    return;
  tell_failure(c, index, result);
  leave();
}

static void meet(Context& c, const Step& step, uint16_t index) {
  c.call = Call::k_none;
  c.text[0] = '\0';
  const long result = step.actor == Actor::kInit ? await_go(c.sync)
                                                 : send_message(c, MessageKind::kReached, index, 0);
  if (result < 0) leave();
}

void walk(Context& c) {
  const plan::Header& header = c.header();
  if (header.hold != 0 && await_go(c.sync) < 0) leave();
  const auto* steps = reinterpret_cast<const Step*>(c.base + header.steps);
  for (uint32_t i = 0; i < header.step_count; ++i) {
    const Step& step = steps[i];
    const auto index = static_cast<uint16_t>(i);
    c.report->step = i;
    if (step.op == Op::kMeet) {
      meet(c, step, index);
    } else if (step.op == Op::kAwaitStart) {
      await_start(c, step.as<plan::AwaitStart>(), index);
    } else if (step.actor == Actor::kInit) {
      do_step(c, step, index);
    }
  }
  leave();
}

long run_step(Context& c, const Step& step) {
  switch (step.op) {
#define X(name, text) \
  case Op::k##name:   \
    return run(c, step.as<plan::name>());
    CORACLE_INIT_STEPS(X)
#undef X
    default:
      return fail(c, Call::k_none, -kENOSYS);
  }
}

// AwaitStart needs the index of its step, so the walk does it itself.
long run(Context& c, const plan::AwaitStart&) { return fail(c, Call::k_none, -kENOSYS); }

}  // namespace coracle::init
