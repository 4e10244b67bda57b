// HOME of a user, by the container's /etc/passwd. Never used for ids: those are numbers of the
// plan (CVE-2016-3697).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/init/init.h"

namespace coracle::init {

// Reads passwd(5) text piece by piece, in constant memory, until the line of `uid` is complete.
class HomeFinder {
 public:
  // `home` has `room` bytes, the NUL included.
  HomeFinder(uint32_t uid, char* home, size_t room) : uid_(uid), home_(home), room_(room) {}
  // True once found. A last line without newline counts only after finish().
  bool read(const char* text, size_t size);
  bool finish() { return read("\n", 1); }

 private:
  bool end_line();
  void take(char ch);

  uint32_t uid_;
  char* home_;
  size_t room_;
  size_t used_ = 0;
  uint64_t number_ = 0;
  int field_ = 0;
  bool good_ = true;  // the line so far can be the one
  bool digits_ = false;
};

// Puts the home directory of `uid` into `home`; "/" if the container does not say.
void find_home(Context& c, uint32_t uid, char* home, size_t room);

}  // namespace coracle::init
