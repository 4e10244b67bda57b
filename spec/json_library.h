#pragma once
// The JSON library as the adapter wants it. Only json.cc and json_write.cc may include this, and
// nothing else may include the library.

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::spec {
[[noreturn]] inline void json_assertion_failed(const char* condition) {
  throw Error(cat("internal error: JSON library: ", condition));
}
}  // namespace coracle::spec

#define RAPIDJSON_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::coracle::spec::json_assertion_failed(#condition))
#ifdef __SSE2__
#define RAPIDJSON_SSE2  // skips spaces and scans strings 16 bytes at a time
#endif
// The library puts this before its small functions. Its stack adds to a null pointer before its
// first allocation, which is undefined to the letter and harmless on every machine there is.
#define RAPIDJSON_FORCEINLINE __attribute__((no_sanitize("pointer-overflow")))

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
