// What goes from the init to others: its terminal, its seccomp listener; and what a verb does at a
// moment of its own.
#include "runtime/engine/console.h"
#include "runtime/engine/steps.h"
#include "runtime/store/state_document.h"
#include "spec/documents.h"
#include "spec/error.h"

namespace coracle::engine {

void run(Walk& w, const plan::ConsoleSend&) {
  w.await(plan::MessageKind::kDescriptor, &w.console);
  if (w.setting.console_socket.empty()) {
    if (w.setting.foreground) suit_output(w.console);
    return;
  }
  send_descriptor(std::string(w.setting.console_socket), w.console, "/dev/pts/0");
  w.console.reset();
}

// The agent gets the container process state beside it (config-linux.md, "The Container Process
// State").
void run(Walk& w, const plan::SeccompListener& p) {
  sys::Fd listener;
  w.await(plan::MessageKind::kDescriptor, &listener);
  const plan::View v = w.view();
  const spec::State state = store::state_of(w.setting.container.record(), w.setting.status, "");
  const std::string text =
      spec::process_state_json(state, w.child.pid, {"seccompFd"}, v.str(p.metadata));
  try {
    send_descriptor(std::string(v.str(p.path)), listener, text);
  } catch (spec::Error& e) {
    e.wrap("failed to connect with seccomp agent");
    throw;
  }
}

void run(Walk& w, const plan::Hooks& p) {
  if (w.occasions.hooks) w.occasions.hooks(static_cast<plan::HookKind>(p.kind));
}

void run(Walk& w, const plan::RecordCreated&) {
  if (w.occasions.created) w.occasions.created();
}

}  // namespace coracle::engine
