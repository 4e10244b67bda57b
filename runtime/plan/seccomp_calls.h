// What a profile says about each system call of one ABI, as libseccomp understands it: numbers
// instead of names, socketcall(2) and ipc(2) beside the direct calls, and one answer a call.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/plan/seccomp_profile.h"

namespace coracle::plan::seccomp {

struct Alternative {
  std::vector<Condition> conditions;  // all must hold; sorted by argument
  uint32_t action = 0;
};

// What happens to a call: the first alternative that holds, else `otherwise`.
struct Answer {
  std::vector<Alternative> alternatives;
  uint32_t otherwise = 0;
  bool wide = true;  // arguments have 64 bits
};
bool operator==(const Answer& a, const Answer& b);

// Numbers from `first` up to the next range's.
struct Range {
  uint32_t first = 0;
  Answer answer;
};

// All 2^32 numbers of one AUDIT_ARCH_*, in order; neighbours differ.
struct Calls {
  uint32_t arch = 0;
  std::vector<Range> ranges;
};

// Nothing where the profile is not plain (seccomp_tree.h). The first is this machine's own.
std::optional<std::vector<Calls>> calls_of(const Profile& profile);

}  // namespace coracle::plan::seccomp
