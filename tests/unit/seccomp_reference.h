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

#include "runtime/plan/seccomp_profile.h"
#include "tests/unit/bpf_interpreter.h"
#include "tests/unit/seccomp_library.h"

namespace coracle::tests {

inline constexpr uint32_t kX32 = 0x40000000;

inline constexpr uint32_t kTokens[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32,
                                       SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};

// Every name that libseccomp knows on these architectures.
inline const std::vector<std::string>& all_names() {
  static const std::vector<std::string> names = [] {
    std::set<std::string> found = {"no_such_call"};
    for (uint32_t arch : kTokens) {
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
  for (uint32_t n = 0; n < 8; ++n) numbers.push_back(kArmPrivate - 1 + n);
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
    for (auto& list : of) {
      for (uint64_t v : {uint64_t{0}, uint64_t{1}, uint64_t{UINT32_MAX}, UINT64_MAX})
        list.push_back(v);
    }
    for (uint64_t call = 0; call < 26; ++call) of[0].push_back(call);  // socketcall, ipc
    for (auto& list : of) {
      std::sort(list.begin(), list.end());
      list.erase(std::unique(list.begin(), list.end()), list.end());
    }
  }
  void add(uint32_t index, uint64_t v) {
    const uint64_t high = uint64_t{1} << 32;
    for (uint64_t near : {v - 1, v, v + 1, v + high, v - high, v ^ (high << 31), ~v, v & UINT32_MAX,
                          v << 32, v | high, v | 0x10}) {
      of[index].push_back(near);
    }
  }
  std::vector<uint64_t> of[6];
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

// The name of an i386 call that has a number of its own.
inline const std::string& i386_name(uint32_t number) {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (int n = 0; n < 700; ++n) {
      char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86, n);
      list.emplace_back(name ? name : "");
      free(name);
    }
    return list;
  }();
  return names[number];
}

// One ABI of a profile: its rules by number. socketcall(2) and ipc(2) of i386 are where they are
// as well; `multiplexed` then is the call's number behind them.
class AbiRules {
 public:
  AbiRules(const Profile& profile, uint32_t token)
      : token_(token), wide_(token == SCMP_ARCH_X86_64 || token == SCMP_ARCH_AARCH64) {
    for (const Rule& rule : profile.rules) {
      each_number(profile.known[rule.call]->name, [&](uint32_t number, uint32_t multiplexed) {
        rules_[number].push_back({&rule, multiplexed});
      });
    }
    for (const plan::seccomp::SystemCall* call : profile.known) {
      each_number(call->name, [&](uint32_t number, uint32_t) {
        if (token_ != SCMP_ARCH_ARM || number < kArmPrivate) {
          highest_ = std::max(highest_, static_cast<int64_t>(number));
        }
      });
    }
  }

  // The actions of all rules that hold; where none does, what happens then.
  std::vector<uint32_t> verdicts(const Profile& profile, const seccomp_data& data) const {
    uint32_t number = static_cast<uint32_t>(data.nr);
    std::vector<uint32_t> found;
    if (auto rules = rules_.find(number); rules != rules_.end()) {
      for (const Entry& e : rules->second) {
        if (!holds(e, data)) continue;
        // Nothing can be more general than a rule without conditions: the first one counts.
        if (e.rule->conditions.empty() && !e.multiplexed) return {e.rule->action};
        found.push_back(e.rule->action);
      }
    }
    if (!found.empty()) return found;
    bool newer =
        highest_ >= 0 && number > highest_ && (token_ != SCMP_ARCH_ARM || number < kArmPrivate);
    return {newer && plan::seccomp::wants_enosys(profile) ? SECCOMP_RET_ERRNO | ENOSYS
                                                          : profile.default_action};
  }

 private:
  struct Entry {
    const Rule* rule;
    uint32_t multiplexed;  // 0: directly
  };
  template <typename Use>
  void each_number(std::string_view name, const Use& use) const {
    int number = seccomp_syscall_resolve_name_arch(token_, name.data());
    if (number >= 0) use(static_cast<uint32_t>(number), 0);
    if (token_ != SCMP_ARCH_X86 || number > -100 || number <= -300) return;
    bool ipc = number <= -200;
    use(ipc ? 117 : 102, static_cast<uint32_t>(-number % (ipc ? 200 : 100)));
    for (uint32_t direct = 0; direct < 700; ++direct) {
      if (i386_name(direct) == name) use(direct, 0);
    }
  }
  bool holds(const Entry& e, const seccomp_data& data) const {
    if (e.multiplexed && static_cast<uint32_t>(data.args[0]) != e.multiplexed) return false;
    for (const Condition& c : e.rule->conditions) {
      if (e.multiplexed && c.index == 0) continue;
      if (!condition_holds(c, data.args[c.index], wide_)) return false;
    }
    return true;
  }
  uint32_t token_;
  bool wide_;
  int64_t highest_ = -1;
  std::map<uint32_t, std::vector<Entry>> rules_;
};

struct Reference {
  explicit Reference(const Profile& p) : profile(p) {
    for (uint32_t token : profile.arches) abis.emplace(token, AbiRules(profile, token));
  }
  std::vector<uint32_t> by(uint32_t token, const seccomp_data& data) const {
    auto abi = abis.find(token);
    if (abi == abis.end()) return {SECCOMP_RET_KILL_THREAD};
    return abi->second.verdicts(profile, data);
  }
  std::vector<uint32_t> verdicts(const seccomp_data& data) const {
    uint32_t number = static_cast<uint32_t>(data.nr);
    if (data.arch != AUDIT_ARCH_X86_64)
      return by(data.arch, data);  // libseccomp's tokens are these
    if (number < kX32) return by(SCMP_ARCH_X86_64, data);
    if (number == UINT32_MAX && !abis.count(SCMP_ARCH_X32)) return {profile.default_action};
    return by(SCMP_ARCH_X32, data);
  }
  Profile profile;
  std::map<uint32_t, AbiRules> abis;
};

// All cases of a profile in which a program could go wrong.
struct Cases {
  explicit Cases(const Profile& profile) : samples(profile) {
    for (const Rule& rule : profile.rules) {
      if (rule.conditions.empty()) continue;
      for (const Condition& c : rule.conditions) used.insert(c.index);
      for (uint32_t token : profile.arches) {
        int number =
            seccomp_syscall_resolve_name_arch(token, profile.known[rule.call]->name.data());
        if (number >= 0) judged.insert(static_cast<uint32_t>(number));
      }
    }
    used.insert(0);
    for (uint32_t number = 102; number < 420; ++number) {
      if (number == 102 || number == 117 || number == 337 || number == 345 ||
          (number >= 359 && number <= 373) || (number >= 393 && number <= 402)) {
        judged.insert(number);
      }
    }
  }

  template <typename Check>
  void each(const Check& check) const {
    for (uint32_t arch : std::initializer_list<uint32_t>{
             AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0x12345u}) {
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
        for (int round = 0; round < 2; ++round) {
          for (uint32_t other : used) data.args[other] = pick(other, random);
          data.args[index] = value;
          check(data);
        }
      }
    }
  }
  uint64_t pick(uint32_t index, std::mt19937_64& random) const {
    return samples.of[index][random() % samples.of[index].size()];
  }
};

// Where several rules with different actions hold, any of these is right.
// The number of cases in which `program` does not do what the rules say; the first one is shown.
inline size_t differences(const Profile& profile, const std::vector<uint64_t>& program,
                          size_t* cases) {
  CHECK(check_filter(program) == "");
  Reference reference(profile);
  size_t different = 0;
  Cases(profile).each([&](const seccomp_data& data) {
    ++*cases;
    std::vector<uint32_t> right = reference.verdicts(data);
    uint32_t ours = run_filter(program, data);
    if (std::count(right.begin(), right.end(), ours)) return;
    if (different++ == 0) {
      MESSAGE("arch " << data.arch << " nr " << data.nr << " args " << data.args[0] << " "
                      << data.args[1] << " " << data.args[2] << " " << data.args[3] << ": "
                      << right.front() << " / " << ours);
    }
  });
  return different;
}

}  // namespace coracle::tests
