// The one walk over a plan: what create, run, exec, restore, the hooks that run inside a container
// and changes of its mounts have in common. The init walks the same list (runtime/init/walk.cc);
// here are the steps of the parent, and the meetings of both.
//
//   Walk w(setting, occasions);   nothing has happened yet
//   w.cgroup = ..., w.set(slot)   what the plan expects of its maker
//   w.run();                      every step, up to the one at which the init waits for a go
//   w.commit(); w.await_program();
//
// The child is the walk's until commit() or release(): if the walk is destroyed before, it is
// killed and reaped.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/cgroup/fs.h"
#include "runtime/engine/launch.h"
#include "runtime/engine/net_devices.h"
#include "runtime/engine/slots.h"
#include "runtime/plan/builder.h"
#include "runtime/plan/unit.h"
#include "runtime/store/container.h"
#include "runtime/systemd/manager.h"
#include "runtime/systemd/placeholder.h"

namespace coracle::engine {

struct Setting {
  std::vector<unsigned char>& block;  // the plan
  store::Container& container;        // whose it is, locked
  const std::string& state_root;
  store::Status status;                   // of the container, for an agent
  uint32_t first_fd = 3;                  // descriptors from here on are not the program's
  std::string_view console_socket;        // "": the pty's master stays with the walk
  bool foreground = false;                // ... and is shown on our standard output
  const sys::Fd* const* stdio = nullptr;  // as in Launch
};

// What a verb does at steps that are its own. Each may be empty; they throw spec::Error.
struct Occasions {
  std::function<void(plan::HookKind)> hooks;
  std::function<void()> born;     // the process, `child`, is there; after Adopt another one
  std::function<void()> created;  // the container is complete
};

class Walk {
 public:
  Walk(Setting setting, Occasions occasions);
  ~Walk() {
    if (!committed_) end();
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  // All steps. Throws spec::Error.
  void run();
  // Only those that `wanted` picks: restore, whose processes somebody else makes.
  void run_only(bool (*wanted)(const plan::View&, const plan::Step&));

  // The child lives without us from here on, as after commit().
  void let_live() { committed_ = true; }
  // Lets the waiting init go on to the program; it lives without us from here on.
  void commit();
  // Until the program runs; throws if it could not be executed.
  void await_program();

  // Tells the init that we have come to the step `index`. Throws if it is gone.
  void go(uint16_t index);
  // Until the init says `kind`, of the current step. Its warnings are logged, its failure is
  // thrown. An fd that comes with it goes to `descriptor`.
  void await(plan::MessageKind kind, sys::Fd* descriptor = nullptr);
  // How the init's end is to be told. Throws.
  [[noreturn]] void init_is_gone();
  // The same where it was reaped: `status` as waitpid(2) gives it.
  [[noreturn]] void init_has_ended(pid_t pid, int status);

  // The child ends, if there is one.
  void end() noexcept;
  // It is the caller's.
  Child release() { return std::exchange(child, Child()); }
  // Whether something in the cgroup was; empty without a memory controller.
  std::optional<bool> was_oom_killed() const;

  plan::View view() const { return plan::View(setting.block.data()); }
  const plan::Step& step() const { return view().begin()[current]; }
  const std::string& rootfs() const { return setting.container.record().rootfs; }

  const Setting setting;
  const Occasions occasions;
  uint16_t current = 0;  // index of the step
  Slots slots;
  sys::Fd report;  // the init's page
  Child child;
  sys::Fd console;  // the pty's master, if nobody else has it
  sys::Fd cgroup_mount;
  cgroup::Cgroup cgroup;                    // where the init is to be born; no `dir`: where we are
  std::optional<systemd::Manager> systemd;  // until the unit is started
  bool ask_systemd = true;                  // on the way out
  std::vector<plan::UnitProperty> unit_properties;
  std::optional<systemd::Placeholder> placeholder;  // until the init is born
  NetDevices net_devices;

 private:
  void meet(const plan::Step& step);
  void do_step(const plan::Step& step);
  void dispatch(const plan::Step& step);
  std::optional<plan::Message> reported() const;

  uint16_t await_start_ = UINT16_MAX;  // index of AwaitStart
  bool committed_ = false;
};

// The next message of `kind` for step `index`; false when the init is gone or has executed the
// program. Its failure is thrown.
[[nodiscard]] bool await_message(Channel& channel, const plan::View& plan, plan::MessageKind kind,
                                 uint16_t index, const std::string& rootfs, sys::Fd* descriptor);
// The debug record of that moment.
void tell_running();

}  // namespace coracle::engine
