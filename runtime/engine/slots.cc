#include "runtime/engine/slots.h"

namespace coracle::engine {

Slots::Slots(std::vector<unsigned char>& block) {
  context_.base = block.data();
  context_.report = &report_;
  context_.root = context_.procfs = context_.mask_tmpfs = context_.start = context_.sync = -1;
  owners_.resize(context_.header().slots.count);
}

void Slots::set(plan::Slot slot, sys::Fd fd) {
  context_.fd(slot) = fd.get();
  owners_[static_cast<size_t>(slot)] = std::move(fd);
}

init::Context& Slots::context() {
  context_.call = plan::Call::k_none;
  context_.text[0] = '\0';
  return context_;
}

void Slots::adopt() {
  for (size_t i = 0; i < owners_.size(); ++i) {
    const int fd = context_.fd(static_cast<plan::Slot>(i));
    if (fd >= 0 && owners_[i].get() != fd) owners_[i] = sys::Fd(fd);
  }
}

}  // namespace coracle::engine
