// The time of day as text.
#pragma once

#include <cstdint>
#include <string>

namespace coracle::sys {

struct Time {
  int64_t seconds = 0;  // since 1970
  int32_t nanoseconds = 0;
};
Time now();

// Now, as RFC 3339 in UTC: "2026-11-20T23:58:21Z", with `nanoseconds` "...21.123456789Z".
std::string rfc3339_now(bool nanoseconds);
// The same of a given time (seconds since 1970, nanoseconds; -1 leaves the fraction out).
std::string rfc3339(long seconds, long nanoseconds);

}  // namespace coracle::sys
