#include "runtime/sys/clock.h"

#include <stdio.h>
#include <time.h>

namespace coracle::sys {

// By hand: gmtime(3) reads /etc/localtime first. The calendar starts on 1 March of year 0, so that
// the leap day is the last one of a year; an era is 400 years.
std::string rfc3339(long seconds, long nanoseconds) {
  long days = seconds / 86400, rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  days += 719468;  // from 0000-03-01 to 1970-01-01
  long era = (days >= 0 ? days : days - 146096) / 146097;
  long day_of_era = days - era * 146097;
  long year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  long day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  long month_from_march = (5 * day_of_year + 2) / 153;
  long day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  long month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  long year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  char text[80];
  int n = ::snprintf(text, sizeof(text), "%04ld-%02ld-%02ldT%02ld:%02ld:%02ld", year, month, day,
                     rest / 3600, rest / 60 % 60, rest % 60);
  if (nanoseconds >= 0) n += ::snprintf(text + n, sizeof(text) - n, ".%09ld", nanoseconds);
  return std::string(text, static_cast<size_t>(n)) + "Z";
}

Time now() {
  timespec time;
  ::clock_gettime(CLOCK_REALTIME, &time);  // cannot fail with a valid clock and address
  return {time.tv_sec, static_cast<int32_t>(time.tv_nsec)};
}

std::string rfc3339_now(bool nanoseconds) {
  const Time time = now();
  return rfc3339(time.seconds, nanoseconds ? time.nanoseconds : -1);
}

}  // namespace coracle::sys
