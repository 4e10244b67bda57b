// The moment at which a wait of several steps ends, however many steps it takes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/sys/event.h"

namespace coracle::sys {

class Deadline {
 public:
  // timeout_ms < 0: never.
  explicit Deadline(int timeout_ms) : at_(timeout_ms < 0 ? -1 : monotonic_ms() + timeout_ms) {}
  // Milliseconds left, at least 0; -1 for ever. For poll(2).
  int left() const {
    return at_ < 0 ? -1 : static_cast<int>(std::max<int64_t>(0, at_ - monotonic_ms()));
  }
  bool is_over() const { return left() == 0; }

 private:
  int64_t at_;
};

}  // namespace coracle::sys
