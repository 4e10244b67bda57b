#pragma once
// The JSON library as the adapter wants it: its settings for both halves. Only json.cc and
// json_write.cc include it, each through the header of its half, and nothing else may.

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::spec {
[[noreturn]] inline void json_assertion_failed(const char* condition) {
  throw Error(cat("internal error: JSON library: ", condition));
}
}  // namespace coracle::spec

#define RAPIDJSON_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::coracle::spec::json_assertion_failed(#condition))
// The library puts this before its small functions. Its stack adds to a null pointer before its
// first allocation, which is undefined to the letter and harmless on every machine there is.
#define RAPIDJSON_FORCEINLINE __attribute__((no_sanitize("pointer-overflow")))
