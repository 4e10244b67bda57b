#include "runtime/plan/seccomp_calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "runtime/plan/seccomp_bpf.h"
#include "runtime/plan/seccomp_library.h"

namespace coracle::plan::seccomp {

static bool operator==(const Condition& a, const Condition& b) {
  return a.index == b.index && a.op == b.op && a.value == b.value && a.value_two == b.value_two;
}
static bool operator==(const Alternative& a, const Alternative& b) {
  return a.action == b.action && a.conditions == b.conditions;
}
bool operator==(const Answer& a, const Answer& b) {
  return a.otherwise == b.otherwise && a.wide == b.wide && a.alternatives == b.alternatives;
}

namespace {

using Numbers = std::map<uint32_t, std::vector<Alternative>>;

// ---- is it plain? ----

bool holds(const Condition& c, uint64_t value) {
  switch (c.op) {
    case Operator::kNe:
      return value != c.value;
    case Operator::kLt:
      return value < c.value;
    case Operator::kLe:
      return value <= c.value;
    case Operator::kEq:
      return value == c.value;
    case Operator::kGe:
      return value >= c.value;
    case Operator::kGt:
      return value > c.value;
    case Operator::kMaskedEq:
      return (value & c.value) == c.value_two;
  }
  return false;
}

// True if it is certain that not both can hold for one value.
bool exclude(const Condition& a, const Condition& b) {
  if (a.index != b.index) return false;
  if (a.op == Operator::kEq) return !holds(b, a.value);
  if (b.op == Operator::kEq) return !holds(a, b.value);
  if (a.op == Operator::kMaskedEq && b.op == Operator::kMaskedEq) {
    return ((a.value_two ^ b.value_two) & a.value & b.value) != 0;
  }
  return false;
}

bool exclude(const Alternative& a, const Alternative& b) {
  for (const Condition& c : a.conditions) {
    for (const Condition& d : b.conditions) {
      if (exclude(c, d)) return true;
    }
  }
  return false;
}

bool is_narrow(const Condition& c) {
  uint64_t two = c.op == Operator::kMaskedEq ? c.value_two : 0;
  return (c.value >> 32) == 0 && (two >> 32) == 0;
}

// As libseccomp: bits outside the mask do not count; arguments in their order.
std::optional<Alternative> normal(const Rule& rule, bool wide) {
  Alternative alternative{rule.conditions, rule.action};
  for (Condition& c : alternative.conditions) {
    if (!wide && !is_narrow(c)) return std::nullopt;
    if (c.op != Operator::kMaskedEq) {
      c.value_two = 0;
    } else if (c.value == 0) {
      return std::nullopt;
    } else {
      c.value_two &= c.value;
    }
  }
  std::sort(alternative.conditions.begin(), alternative.conditions.end(),
            [](const Condition& a, const Condition& b) { return a.index < b.index; });
  return alternative;
}

// Adds a rule to those of its call. A rule without conditions stands for all others, the first of
// them for good; of two with the same conditions the first counts. False: not plain.
bool add(std::vector<Alternative>& all, const Alternative& fresh) {
  if (!all.empty() && all.front().conditions.empty()) return true;
  if (fresh.conditions.empty()) {
    all = {fresh};
    return true;
  }
  for (const Alternative& old : all) {
    if (old.conditions == fresh.conditions) return true;
    if (old.action != fresh.action && !exclude(old, fresh)) return false;
  }
  all.push_back(fresh);
  return true;
}

// ---- one ABI ----

// The multiplexer takes the call's number as first argument, whatever the rule says about that one.
Alternative behind_multiplexer(Alternative direct, uint64_t call) {
  std::erase_if(direct.conditions, [](const Condition& c) { return c.index == 0; });
  Condition which;
  which.value = call;
  direct.conditions.insert(direct.conditions.begin(), which);
  return direct;
}

bool add_rule(Numbers& numbers, const Rule& rule, uint32_t arch) {
  const Entrance entrance = entrance_of(rule.name, arch);
  if (entrance.number < 0 && entrance.multiplexer < 0) return true;  // not in this ABI
  std::optional<Alternative> alternative = normal(rule, arch == SCMP_ARCH_X86_64);
  if (!alternative) return false;
  if (entrance.multiplexer >= 0 && !add(numbers[static_cast<uint32_t>(entrance.multiplexer)],
                                        behind_multiplexer(*alternative, entrance.call))) {
    return false;
  }
  return entrance.number < 0 || add(numbers[static_cast<uint32_t>(entrance.number)], *alternative);
}

Answer constant(uint32_t verdict) { return {{}, verdict, true}; }

Answer answer_of(const std::vector<Alternative>& all, uint32_t otherwise, bool wide) {
  if (all.front().conditions.empty()) return constant(all.front().action);
  return {all, otherwise, wide};
}

void append(std::vector<Range>& ranges, uint32_t first, Answer answer) {
  if (!ranges.empty() && ranges.back().first == first) ranges.pop_back();
  if (!ranges.empty() && ranges.back().answer == answer) return;
  ranges.push_back({first, std::move(answer)});
}

// The numbers of one ABI, from `start` on. False: not plain.
bool add_abi(std::vector<Range>& ranges, const Profile& profile, uint32_t arch, uint32_t start) {
  Numbers numbers;
  for (const Rule& rule : profile.rules) {
    if (!add_rule(numbers, rule, arch)) return false;
  }
  append(ranges, start, constant(profile.default_action));
  for (const auto& [number, all] : numbers) {
    append(ranges, number, answer_of(all, profile.default_action, arch == SCMP_ARCH_X86_64));
    append(ranges, number + 1, constant(profile.default_action));
  }
  int highest = highest_known(profile, arch);
  if (highest >= 0 && wants_enosys(profile)) {
    append(ranges, static_cast<uint32_t>(highest) + 1, constant(SECCOMP_RET_ERRNO | ENOSYS));
  }
  return true;
}

// The number space that x86_64 and x32 share. Without x32 its half is another architecture, but
// for -1, by which a tracer says "no call".
bool add_x86_64(Calls& calls, const Profile& profile, bool x32) {
  if (!add_abi(calls.ranges, profile, SCMP_ARCH_X86_64, 0)) return false;
  if (x32) return add_abi(calls.ranges, profile, SCMP_ARCH_X32, kX32Bit);
  append(calls.ranges, kX32Bit, constant(SECCOMP_RET_KILL_THREAD));
  append(calls.ranges, UINT32_MAX, constant(profile.default_action));
  return true;
}

}  // namespace

std::optional<std::vector<Calls>> calls_of(const Profile& profile) {
  auto has = [&profile](uint32_t arch) {
    return std::count(profile.arches.begin(), profile.arches.end(), arch) != 0;
  };
  size_t known = has(SCMP_ARCH_X86_64) + has(SCMP_ARCH_X86) + has(SCMP_ARCH_X32);
  if (profile.arches.front() != SCMP_ARCH_X86_64 || known != profile.arches.size()) {
    return std::nullopt;
  }
  std::vector<Calls> all;
  all.push_back({AUDIT_ARCH_X86_64, {}});
  if (!add_x86_64(all.back(), profile, has(SCMP_ARCH_X32))) return std::nullopt;
  if (!has(SCMP_ARCH_X86)) return all;
  all.push_back({AUDIT_ARCH_I386, {}});
  if (!add_abi(all.back().ranges, profile, SCMP_ARCH_X86, 0)) return std::nullopt;
  return all;
}

}  // namespace coracle::plan::seccomp
