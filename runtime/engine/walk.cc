#include "runtime/engine/walk.h"

#include <errno.h>
#include <sys/prctl.h>

#include "runtime/engine/failure.h"
#include "runtime/engine/hints.h"
#include "runtime/engine/report.h"
#include "runtime/engine/steps.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::engine {

using plan::MessageKind;
using plan::Op;
using spec::cat;
using spec::Error;

Walk::Walk(Setting how, Occasions when)
    : setting(how), occasions(std::move(when)), slots(setting.block) {}

// What is cloned of us is not to be looked at before it is the sealed init (CVE-2016-9962).
static void hide() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) throw Error("prctl(PR_SET_DUMPABLE)", errno);
}

void Walk::run() {
  hide();
  for (const plan::Step& step : view()) {
    current = static_cast<uint16_t>(&step - view().begin());
    if (step.op == Op::kMeet || step.op == Op::kAwaitStart) {
      meet(step);
    } else if (step.actor == plan::Actor::kParent) {
      do_step(step);
    }
  }
}

void Walk::run_only(bool (*wanted)(const plan::View&, const plan::Step&)) {
  for (const plan::Step& step : view()) {
    current = static_cast<uint16_t>(&step - view().begin());
    if (wanted(view(), step)) do_step(step);
  }
}

void Walk::meet(const plan::Step& step) {
  if (step.op == Op::kMeet && step.actor == plan::Actor::kInit) return go(current);
  if (step.op == Op::kAwaitStart) await_start_ = current;
  await(MessageKind::kReached);
}

// A step whose failure the plan only warns of: a cgroup that an ordinary user may not make.
void Walk::do_step(const plan::Step& step) {
  try {
    dispatch(step);
  } catch (Error& e) {
    e.explain(why_denied(view(), step, plan::Call::k_none, e.code()));
    if (step.on_error != plan::OnError::kWarn) throw;
    log::warning(e.what());
    if (step.op == Op::kCgroupMake) forget_cgroup(*this);
  }
}

void Walk::dispatch(const plan::Step& step) {
  switch (step.op) {
#define X(name, text) \
  case Op::k##name:   \
    return engine::run(*this, step.as<plan::name>());
    CORACLE_PARENT_STEPS(X)
#undef X
    default:
      return run_shared(*this, step);
  }
}

void Walk::go(uint16_t index) {
  const int r = child.channel.send_go(index);
  if (r == -EPIPE) init_is_gone();
  if (r < 0) throw Error("failed to tell the container's init to go on", r);
}

void Walk::await(MessageKind kind, sys::Fd* descriptor) {
  if (!await_message(child.channel, view(), kind, current, rootfs(), descriptor)) init_is_gone();
}

void Walk::commit() {
  go(await_start_);
  committed_ = true;
}

void Walk::await_program() {
  if (await_message(child.channel, view(), MessageKind::kReached, UINT16_MAX, rootfs(), nullptr))
    throw Error("the container's init speaks of a step that there is not");
  if (const auto message = reported()) throw failure(view(), *message, rootfs());
  tell_running();
  net_devices.leave();
}

std::optional<plan::Message> Walk::reported() const {
  plan::Report page{};
  if (read_report(report, page) < 0 || page.failure.kind != MessageKind::kFailure)
    return std::nullopt;
  return page.failure;
}

std::optional<bool> Walk::was_oom_killed() const {
  std::string events;
  if (!cgroup.dir || sys::read_file(cgroup.dir, "memory.events", events) < 0) return std::nullopt;
  const size_t at = events.find("\noom_kill ");
  return at != std::string::npos && events.compare(at, 12, "\noom_kill 0") != 0;
}

// Behind a seccomp filter it could not send what it has written. If there is nothing, it was
// killed, and the one thing that kills an init in its cgroup is its memory limit.
void Walk::init_has_ended(pid_t pid, int status) {
  const bool speaks = child.pid == 0 && await_message(child.channel, view(), MessageKind::kReached,
                                                      UINT16_MAX, rootfs(), nullptr);
  if (speaks) throw Error("the container's init speaks of a step that there is not");
  if (const auto message = reported()) throw failure(view(), *message, rootfs());
  if (was_oom_killed().value_or(false))
    throw Error(
        "container init was OOM-killed: the memory limit (linux.resources.memory.limit) is "
        "too low to start it");
  throw Error(cat("container init ", pid, " ended before it was ready: ", sys::how_ended(status)));
}

// It has ended, or is out of reach (the socket failed): then it has to go.
void Walk::init_is_gone() {
  constexpr int kLastMomentsMs = 1000;
  const pid_t pid = child.pid;
  const bool ended = sys::pidfd_wait(child.pidfd, kLastMomentsMs) == 1;
  int status = 0;
  if (ended && sys::reap(pid, status) == 0) {
    child.pid = 0;
    init_has_ended(pid, status);
  }
  end();
  if (const auto message = reported()) throw failure(view(), *message, rootfs());
  throw Error(cat("container init ", pid, " ended before it was ready: its socket failed"));
}

void Walk::end() noexcept {
  if (child.pid > 0) sys::end_child(std::exchange(child.pid, 0));
}

bool await_message(Channel& channel, const plan::View& plan, plan::MessageKind kind, uint16_t index,
                   const std::string& rootfs, sys::Fd* descriptor) {
  for (;;) {
    std::optional<Received> got = channel.receive();
    if (!got) return false;
    const plan::Message& m = got->message;
    if (m.kind == plan::MessageKind::kFailure) throw failure(plan, m, rootfs);
    if (m.kind == plan::MessageKind::kWarning) log::warning(failure(plan, m, rootfs).what());
    if (m.kind != kind) continue;
    if (kind == plan::MessageKind::kReached && m.step != index) continue;
    if (descriptor != nullptr) *descriptor = std::move(got->descriptor);
    return true;
  }
}

void tell_running() { log::debug(cat(messages::kDebugRuns, ": the program runs")); }

}  // namespace coracle::engine
