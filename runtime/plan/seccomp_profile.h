// linux.seccomp with its names turned into the numbers of this machine's libseccomp. Everything
// that can be wrong with a profile is found here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/plan.h"
#include "runtime/plan/seccomp_abi.h"
#include "spec/spec.h"

namespace coracle::plan::seccomp {

enum class Operator { kNe, kLt, kLe, kEq, kGe, kGt, kMaskedEq };

struct Condition {
  uint32_t index = 0;  // argument 0..5
  Operator op = Operator::kEq;
  uint64_t value = 0;  // kMaskedEq: the mask
  uint64_t value_two = 0;
};

// One syscall; all conditions must hold.
struct Rule {
  size_t call = 0;      // index into Profile::known
  uint32_t action = 0;  // SECCOMP_RET_*, with its data
  std::vector<Condition> conditions;
  size_t origin = 0;  // index into linux.seccomp.syscalls
};

struct Profile {
  uint32_t default_action = 0;
  std::vector<uint32_t> arches;          // SCMP_ARCH_*; the native one is first
  std::vector<Rule> rules;               // without those that only repeat the default
  std::vector<const SystemCall*> known;  // every call the profile speaks of, whatever its action
  uint32_t flags = 0;
  bool notify = false;
  std::vector<std::string> unknown;  // names that we do not know
};

// See compile() for what it throws. NOTIFY is refused
// - as the default action and for write and sendmsg: the init hands the listener over with these,
//   and would wait for an agent that has no listener yet;
// - without a listenerPath.
Profile resolve(const spec::LinuxSeccomp& seccomp, Warnings& warnings);

}  // namespace coracle::plan::seccomp
