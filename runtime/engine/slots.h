// The descriptors that steps hand to later ones, and the context in which the parent does steps
// with the init's code.
#pragma once

#include <vector>

#include "runtime/init/init.h"
#include "runtime/sys/fd.h"

namespace coracle::engine {

class Slots {
 public:
  // `block` is the plan; it must outlive this object.
  explicit Slots(std::vector<unsigned char>& block);
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  // The fd is owned here from then on.
  void set(plan::Slot slot, sys::Fd fd);
  // For run_step() and its like: no call has failed, no words are there.
  init::Context& context();
  // Whatever a step of the init's code has opened gets its owner.
  void adopt();

 private:
  plan::Report report_{};
  init::Context context_{};
  std::vector<sys::Fd> owners_;
};

}  // namespace coracle::engine
