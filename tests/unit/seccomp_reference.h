#pragma once
// What the rules of a seccomp profile say, call by call, read straight from the rules: it knows
// nothing of BPF. And the cases in which a compiled program could say otherwise.

#include <doctest/doctest.h>
#include <linux/audit.h>
#include <seccomp.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/seccomp_library.h"
#include "runtime/plan/seccomp_profile.h"
#include "tests/unit/bpf_interpreter.h"

namespace coracle::tests {

using plan::seccomp::Condition;
using plan::seccomp::Operator;
using plan::seccomp::Profile;
using plan::seccomp::Rule;

inline constexpr uint32_t kX32 = 0x40000000;

// Every name that libseccomp knows on the three architectures.
inline const std::vector<std::string>& all_names() {
  static const std::vector<std::string> names = [] {
    std::set<std::string> found = {"no_such_call"};
    for (uint32_t arch :
         std::initializer_list<uint32_t>{SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32}) {
      for (int n = -11000; n < 1000; ++n) {
        int number = arch == SCMP_ARCH_X32 && n >= 0 ? static_cast<int>(n | kX32) : n;
        char* name = seccomp_syscall_resolve_num_arch(arch, number);
        if (name) found.insert(name);
        free(name);
      }
    }
    return std::vector<std::string>(found.begin(), found.end());
  }();
  return names;
}

inline std::vector<uint32_t> all_numbers() {
  std::vector<uint32_t> numbers;
  for (uint32_t n = 0; n < 700; ++n) {
    numbers.push_back(n);
    numbers.push_back(n | kX32);
  }
  for (uint32_t edge : {0x3fffffffu, 0x3ffffffeu, 0x7fffffffu, 0x80000000u, 0x80000001u,
                        0xbfffffffu, 0xc0000000u, 0xfffffffeu, 0xffffffffu, 0x10000u}) {
    numbers.push_back(edge);
  }
  return numbers;
}

// Values about those in the conditions on each argument: both sides of every comparison, in both
// halves.
struct Samples {
  explicit Samples(const Profile& profile) {
    for (const Rule& rule : profile.rules) {
      for (const Condition& c : rule.conditions) {
        for (uint64_t v : {c.value, c.value_two}) add(c.index, v);
      }
    }
    for (auto& set : of) {
      for (uint64_t v : {uint64_t{0}, uint64_t{1}, uint64_t{UINT32_MAX}, UINT64_MAX}) set.insert(v);
    }
  }
  void add(uint32_t index, uint64_t v) {
    const uint64_t high = uint64_t{1} << 32;
    for (uint64_t near : {v - 1, v, v + 1, v + high, v - high, v ^ (high << 31), ~v, v & UINT32_MAX,
                          v << 32, v | high, v | 0x10}) {
      of[index].insert(near);
    }
  }
  std::set<uint64_t> of[6];
};

inline bool condition_holds(const Condition& c, uint64_t value, bool wide) {
  uint64_t a = c.value, b = c.value_two;
  if (!wide) value &= UINT32_MAX;
  switch (c.op) {
    case Operator::kNe:
      return value != a;
    case Operator::kLt:
      return value < a;
    case Operator::kLe:
      return value <= a;
    case Operator::kEq:
      return value == a;
    case Operator::kGe:
      return value >= a;
    case Operator::kGt:
      return value > a;
    case Operator::kMaskedEq:
      return (value & a) == (b & a);
  }
  return false;
}

// One ABI of a profile: its rules by number. socketcall(2) and ipc(2) of i386 are where they are
// as well; `multiplexed` then is the call's number behind them.
class Abi {
 public:
  Abi(const Profile& profile, uint32_t token) : wide_(token == SCMP_ARCH_X86_64) {
    for (const Rule& rule : profile.rules) {
      int number = seccomp_syscall_resolve_name_arch(token, rule.name.data());
      if (number >= 0) {
        rules_[static_cast<uint32_t>(number)].push_back({&rule, 0});
      } else if (token == SCMP_ARCH_X86 && number <= -100 && number > -300) {
        bool ipc = number <= -200;
        rules_[ipc ? 117 : 102].push_back(
            {&rule, static_cast<uint32_t>(-number % (ipc ? 200 : 100))});
        for (uint32_t direct = 0; direct < 700; ++direct) {
          if (name_of(direct) == rule.name) rules_[direct].push_back({&rule, 0});
        }
      }
    }
    for (std::string_view name : profile.known) {
      int number = seccomp_syscall_resolve_name_arch(token, name.data());
      highest_ = std::max(highest_, number);
      if (token != SCMP_ARCH_X86 || number > -100 || number <= -300) continue;
      highest_ = std::max(highest_, number <= -200 ? 117 : 102);
      for (int direct = 0; direct < 700; ++direct) {
        if (name_of(static_cast<uint32_t>(direct)) == name) highest_ = std::max(highest_, direct);
      }
    }
  }

  uint32_t verdict(const Profile& profile, const seccomp_data& data) const {
    uint32_t number = static_cast<uint32_t>(data.nr);
    auto found = rules_.find(number);
    if (found != rules_.end()) {
      for (const Entry& e : found->second) {
        if (e.rule->conditions.empty() && !e.multiplexed) return e.rule->action;
      }
      for (const Entry& e : found->second) {
        if (holds(e, data)) return e.rule->action;
      }
    }
    bool newer = highest_ >= 0 && number > static_cast<uint32_t>(highest_);
    return newer && plan::seccomp::wants_enosys(profile) ? SECCOMP_RET_ERRNO | ENOSYS
                                                         : profile.default_action;
  }

 private:
  struct Entry {
    const Rule* rule;
    uint32_t multiplexed;  // 0: directly
  };
  static const std::string& name_of(uint32_t wanted) {
    static const std::vector<std::string> names = [] {
      std::vector<std::string> list;
      for (int number = 0; number < 700; ++number) {
        char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86, number);
        list.emplace_back(name ? name : "");
        free(name);
      }
      return list;
    }();
    return names[wanted];
  }
  bool holds(const Entry& e, const seccomp_data& data) const {
    if (e.multiplexed && static_cast<uint32_t>(data.args[0]) != e.multiplexed) return false;
    for (const Condition& c : e.rule->conditions) {
      if (e.multiplexed && c.index == 0) continue;
      if (!condition_holds(c, data.args[c.index], wide_)) return false;
    }
    return true;
  }
  bool wide_;
  int highest_ = -1;
  std::map<uint32_t, std::vector<Entry>> rules_;
};

struct Reference {
  explicit Reference(const Profile& p)
      : profile(p), x86_64(p, SCMP_ARCH_X86_64), i386(p, SCMP_ARCH_X86), x32(p, SCMP_ARCH_X32) {}
  bool has(uint32_t token) const {
    return std::count(profile.arches.begin(), profile.arches.end(), token) != 0;
  }
  uint32_t verdict(const seccomp_data& data) const {
    uint32_t number = static_cast<uint32_t>(data.nr);
    if (data.arch == AUDIT_ARCH_I386 && has(SCMP_ARCH_X86)) return i386.verdict(profile, data);
    if (data.arch != AUDIT_ARCH_X86_64) return SECCOMP_RET_KILL_THREAD;
    if (number < kX32) return x86_64.verdict(profile, data);
    if (has(SCMP_ARCH_X32)) return x32.verdict(profile, data);
    return number == UINT32_MAX ? profile.default_action : SECCOMP_RET_KILL_THREAD;
  }
  Profile profile;
  Abi x86_64, i386, x32;
};

inline std::vector<uint64_t> by_library(const Profile& profile, bool binary_tree) {
  std::vector<uint64_t> program = plan::seccomp::library_program(profile, binary_tree);
  if (plan::seccomp::wants_enosys(profile)) plan::seccomp::add_enosys(profile, program);
  return program;
}

// All cases of a profile in which a program could go wrong.
struct Cases {
  explicit Cases(const Profile& profile) : samples(profile) {
    for (const Rule& rule : profile.rules) {
      if (rule.conditions.empty()) continue;
      for (const Condition& c : rule.conditions) used.insert(c.index);
      for (uint32_t token : profile.arches) {
        int number = seccomp_syscall_resolve_name_arch(token, rule.name.data());
        if (number >= 0) judged.insert(static_cast<uint32_t>(number));
      }
    }
    used.insert(0);
    for (uint32_t call = 0; call < 26; ++call) samples.of[0].insert(call);  // socketcall, ipc
    for (uint32_t number = 102; number < 420; ++number) {
      if (number == 102 || number == 117 || number == 337 || number == 345 ||
          (number >= 359 && number <= 373) || (number >= 393 && number <= 402)) {
        judged.insert(number);
      }
    }
  }

  template <typename Check>
  void each(const Check& check) const {
    for (uint32_t arch : std::initializer_list<uint32_t>{AUDIT_ARCH_X86_64, AUDIT_ARCH_I386,
                                                         AUDIT_ARCH_AARCH64, 0x12345u}) {
      for (uint32_t number : all_numbers()) {
        seccomp_data data = {};
        data.arch = arch;
        data.nr = static_cast<int>(number);
        check(data);
        if (judged.count(number)) each_argument(data, check);
      }
    }
  }

  Samples samples;
  std::set<uint32_t> used;    // arguments in conditions
  std::set<uint32_t> judged;  // numbers with conditions

 private:
  template <typename Check>
  void each_argument(seccomp_data data, const Check& check) const {
    std::mt19937_64 random(static_cast<uint32_t>(data.nr));
    // Each argument through all its samples, the others at random among theirs.
    for (uint32_t index : used) {
      for (uint64_t value : samples.of[index]) {
        for (int round = 0; round < 4; ++round) {
          for (uint32_t other : used) data.args[other] = pick(other, random);
          data.args[index] = value;
          check(data);
        }
      }
    }
  }
  uint64_t pick(uint32_t index, std::mt19937_64& random) const {
    auto at = samples.of[index].begin();
    std::advance(at, random() % samples.of[index].size());
    return *at;
  }
};

// The number of cases in which `program` does not do what the rules say; the first one is shown.
inline size_t differences(const Profile& profile, const std::vector<uint64_t>& program,
                          size_t* cases) {
  CHECK(check_filter(program) == "");
  Reference reference(profile);
  size_t different = 0;
  Cases(profile).each([&](const seccomp_data& data) {
    ++*cases;
    uint32_t right = reference.verdict(data);
    uint32_t ours = run_filter(program, data);
    if (right == ours) return;
    if (different++ == 0) {
      MESSAGE("arch " << data.arch << " nr " << data.nr << " args " << data.args[0] << " "
                      << data.args[1] << " " << data.args[2] << " " << data.args[3] << ": " << right
                      << " / " << ours);
    }
  });
  return different;
}

}  // namespace coracle::tests
