// The end of what a program printed, fit for a message.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coracle::hooks {

inline constexpr size_t kTailSize = 4096;  // bytes

// Keeps the last kTailSize bytes of what is added.
class Tail {
 public:
  void add(std::string_view data);
  // As UTF-8 without control characters but newline and tab (each other byte is "?", so that it can
  // neither steer a terminal nor break a log record), trimmed, with "..." in front if it was cut.
  std::string text() const;

 private:
  std::string kept_;
  bool cut_ = false;
};

}  // namespace coracle::hooks
