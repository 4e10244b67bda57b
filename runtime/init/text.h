// The few words on C strings that the init needs; there is no C library to ask.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/init/init.h"

namespace coracle::init {

inline size_t length(const char* text) {
  size_t n = 0;
  // NOLINTNEXTLINE(clang-analyzer-core.*): it does not see what the kernel writes
  while (text[n] != '\0') ++n;
  return n;
}

inline bool equal(const char* a, const char* b, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (a[i] != b[i]) return false;  // NOLINT(clang-analyzer-core.*): as above
  return true;
}

// Appends to a bounded, always terminated buffer. What does not fit sets `full`.
struct Line {
  char* data;
  size_t size;  // of the buffer, at least 1
  size_t used = 0;
  bool full = false;

  Line& put(char ch) {
    if (used + 1 < size) {
      data[used++] = ch;
    } else {
      full = true;
    }
    data[used] = '\0';
    return *this;
  }
  Line& put(const char* text) {
    while (*text != '\0') put(*text++);
    return *this;
  }
  Line& put(const char* text, size_t count) {
    for (size_t i = 0; i < count; ++i) put(text[i]);
    return *this;
  }
  Line& number(uint64_t value) {
    char digits[20];
    int n = 0;
    do {
      digits[n++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (n > 0) put(digits[--n]);
    return *this;
  }
};

// The detail that goes with a failure.
inline Line detail(Context& c) {
  c.text[0] = '\0';
  return Line{c.text, sizeof(c.text)};
}

}  // namespace coracle::init
