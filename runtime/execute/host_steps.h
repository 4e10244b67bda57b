// Steps that the parent does whatever the plan is for: those that open something into a slot, and
// those whose code it shares with the init.
#pragma once

#include <sys/types.h>

#include <vector>

#include "runtime/init/init.h"
#include "runtime/plan/builder.h"
#include "runtime/sys/fd.h"

namespace coracle::execute {

class HostSteps {
 public:
  // `block` is the plan; it must outlive this object.
  void begin(std::vector<unsigned char>& block);

  // Puts an fd into a slot; it is owned here from then on.
  void set(plan::Slot slot, sys::Fd fd);

  // Throw spec::Error.
  void run(const plan::IdmapUserns& p);
  void run(const plan::OpenNamespace& p);
  void run(const plan::IdmapTree& p, const plan::Step& step, const sys::Fd& tree);
  // `child`: the waiting init, if it is there already (child_steps.h); else 0.
  void run_shared(const plan::Step& step, pid_t child);

 private:
  plan::View view() const { return plan::View(context_.base); }

  init::Context context_{};
  std::vector<sys::Fd> slots_;  // owners of the fds in the block's slots
};

}  // namespace coracle::execute
