#include "runtime/plan/seccomp_calls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <compare>
#include <tuple>
#include <utility>

#include "runtime/plan/seccomp_abi.h"
#include "runtime/plan/seccomp_bpf.h"
#include "spec/error.h"
#include "spec/text.h"

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

bool wants_enosys(const Profile& profile) {
  switch (profile.default_action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:
      return false;
    case SECCOMP_RET_ERRNO:
      return (profile.default_action & SECCOMP_RET_DATA) != ENOSYS;
    default:
      return true;
  }
}

namespace {

// ---- the conditions of one rule ----

enum class Holds { kNever, kAlways, kSometimes };

// Of an argument without an upper half; takes away what of the condition is about that.
Holds narrow(Condition& c) {
  if (c.op == Operator::kMaskedEq) {
    if (c.value_two >> 32) return Holds::kNever;
    c.value &= UINT32_MAX;
    return Holds::kSometimes;
  }
  if (c.value >> 32 == 0) return Holds::kSometimes;
  bool above = c.op == Operator::kNe || c.op == Operator::kLt || c.op == Operator::kLe;
  return above ? Holds::kAlways : Holds::kNever;
}

// One spelling for conditions that say the same.
Holds normalize(Condition& c, bool wide) {
  c.value_two = c.op == Operator::kMaskedEq ? c.value_two & c.value : 0;
  Holds holds = wide ? Holds::kSometimes : narrow(c);
  if (holds == Holds::kSometimes && c.op == Operator::kMaskedEq && c.value == 0) {
    return Holds::kAlways;
  }
  return holds;
}

// False: such a rule never holds.
bool normalize(std::vector<Condition>& conditions, bool wide) {
  std::vector<Condition> kept;
  for (Condition& c : conditions) {
    Holds holds = normalize(c, wide);
    if (holds == Holds::kNever) return false;
    if (holds == Holds::kSometimes) kept.push_back(c);
  }
  std::sort(kept.begin(), kept.end(),
            [](const Condition& a, const Condition& b) { return a.index < b.index; });
  conditions = std::move(kept);
  return true;
}

// The multiplexer takes the call's number as first argument, whatever the rule says about that one.
void put_behind_multiplexer(std::vector<Condition>& conditions, uint64_t call) {
  std::erase_if(conditions, [](const Condition& c) { return c.index == 0; });
  Condition which;
  which.value = call;
  conditions.push_back(which);
}

// ---- the rules of one call ----

// Which of two conditions is the more specific one: it is less (see calls_of()).
auto rank(const Condition& c) {
  bool below = c.op == Operator::kLt || c.op == Operator::kLe;
  bool above = c.op == Operator::kGt || c.op == Operator::kGe;
  uint64_t value = c.op == Operator::kMaskedEq ? c.value_two : c.value;
  return std::tuple(5 - c.index, above ? 2 : below ? 1 : 0, below ? value : ~value);
}

bool more_specific(const Alternative& a, const Alternative& b) {
  return std::lexicographical_compare(
      a.conditions.begin(), a.conditions.end(), b.conditions.begin(), b.conditions.end(),
      [](const Condition& x, const Condition& y) { return rank(x) < rank(y); });
}

bool starts_with(const Alternative& whole, const Alternative& start) {
  return start.conditions.size() <= whole.conditions.size() &&
         std::equal(start.conditions.begin(), start.conditions.end(), whole.conditions.begin());
}

[[noreturn]] void contradiction(const Alternative& fresh, const Alternative& old) {
  throw spec::Error::at(
      spec::cat("linux.seccomp.syscalls[", fresh.origin, "]"),
      spec::cat("applies to calls that linux.seccomp.syscalls[", old.origin,
                "] applies to as well, with another action, and is not more specific"));
}

// True if `a` holds wherever `b` does, with the same action.
bool covers(const Alternative& a, const Alternative& b) {
  return a.action == b.action &&
         std::all_of(a.conditions.begin(), a.conditions.end(), [&b](const Condition& c) {
           return std::find(b.conditions.begin(), b.conditions.end(), c) != b.conditions.end();
         });
}

// Adds a rule with conditions to those of its call.
void add(std::vector<Alternative>& all, Alternative fresh) {
  std::erase_if(all, [&fresh](const Alternative& old) { return covers(fresh, old); });
  for (const Alternative& old : all) {
    if (old.action != fresh.action && starts_with(old, fresh)) contradiction(fresh, old);
    if (starts_with(fresh, old) || covers(old, fresh)) return;
  }
  all.push_back(std::move(fresh));
}

bool is_mixed(const std::vector<Alternative>& all) {
  return std::any_of(all.begin(), all.end(),
                     [&all](const Alternative& a) { return a.action != all.front().action; });
}

// ---- one ABI ----

// A rule of one number.
struct Row {
  uint32_t number = 0;
  const Rule* rule = nullptr;
  bool multiplexed = false;
  uint32_t call = 0;
};

// One ABI of a profile: which rules each number has, and where the known numbers end.
class Table {
 public:
  Table(const Profile& profile, const Abi& abi) : profile_(profile), abi_(abi) {
    std::vector<Entrance> entrances;
    entrances.reserve(profile.known.size());
    for (const SystemCall* call : profile.known) {
      entrances.push_back(entrance_of(*call, abi));
      know(entrances.back());
    }
    rows_.reserve(profile.rules.size() + 32);
    for (const Rule& rule : profile.rules) add_rows(rule, entrances[rule.call]);
    std::stable_sort(rows_.begin(), rows_.end(),
                     [](const Row& a, const Row& b) { return a.number < b.number; });
  }

  // Appends the ABI's numbers, from `start` on.
  void write(std::vector<Range>& ranges, uint32_t start) const;

 private:
  void know(const Entrance& entrance) {
    for (int number : {entrance.number, entrance.multiplexer}) {
      bool is_private = abi_.private_calls && number >= static_cast<int>(abi_.private_calls);
      if (!is_private) highest_ = std::max(highest_, number);
    }
  }
  void add_rows(const Rule& rule, const Entrance& entrance) {
    if (entrance.multiplexer >= 0) {
      rows_.push_back({static_cast<uint32_t>(entrance.multiplexer), &rule, true, entrance.call});
    }
    if (entrance.number >= 0) rows_.push_back({static_cast<uint32_t>(entrance.number), &rule});
  }
  Answer constant(uint32_t verdict) const { return {{}, verdict, true}; }
  Answer answer(size_t first, size_t last) const;
  void write_unknown(std::vector<Range>& ranges) const;

  const Profile& profile_;
  const Abi& abi_;
  std::vector<Row> rows_;  // by number, then in the profile's order
  int highest_ = -1;
};

// Of the rules [first, last), all of one number.
Answer Table::answer(size_t first, size_t last) const {
  for (size_t i = first; i < last; ++i) {
    const Row& row = rows_[i];
    if (row.rule->conditions.empty() && !row.multiplexed) return constant(row.rule->action);
  }
  std::vector<Alternative> rules;
  for (size_t i = first; i < last; ++i) {
    const Row& row = rows_[i];
    rules.push_back({row.rule->conditions, row.rule->action, row.rule->origin});
    if (row.multiplexed) put_behind_multiplexer(rules.back().conditions, row.call);
    if (!normalize(rules.back().conditions, abi_.wide)) {
      rules.pop_back();
    } else if (rules.back().conditions.empty()) {
      return constant(rules.back().action);
    }
  }
  std::vector<Alternative> all;
  for (Alternative& rule : rules) add(all, std::move(rule));
  if (all.empty()) return constant(profile_.default_action);
  if (is_mixed(all)) std::stable_sort(all.begin(), all.end(), more_specific);
  return {std::move(all), profile_.default_action, abi_.wide};
}

void append(std::vector<Range>& ranges, uint32_t first, Answer answer) {
  if (!ranges.empty() && ranges.back().first == first) ranges.pop_back();
  if (!ranges.empty() && ranges.back().answer == answer) return;
  ranges.push_back({first, std::move(answer)});
}

void Table::write(std::vector<Range>& ranges, uint32_t start) const {
  append(ranges, start, constant(profile_.default_action));
  bool is_private = false;
  for (size_t first = 0, last = 0; first < rows_.size(); first = last) {
    const uint32_t number = rows_[first].number;
    while (last < rows_.size() && rows_[last].number == number) ++last;
    if (!is_private && highest_ >= 0 && number > static_cast<uint32_t>(highest_)) {
      is_private = true;
      write_unknown(ranges);
    }
    append(ranges, number, answer(first, last));
    const bool gap = last == rows_.size() || rows_[last].number != number + 1;
    if (gap) append(ranges, number + 1, constant(profile_.default_action));
  }
  if (!is_private) write_unknown(ranges);
}

// The numbers above those that the profile knows, up to the architecture's own.
void Table::write_unknown(std::vector<Range>& ranges) const {
  if (highest_ < 0 || !wants_enosys(profile_)) return;
  append(ranges, static_cast<uint32_t>(highest_) + 1, constant(SECCOMP_RET_ERRNO | ENOSYS));
  if (abi_.private_calls) append(ranges, abi_.private_calls, constant(profile_.default_action));
}

bool has(const Profile& profile, uint32_t token) {
  return std::count(profile.arches.begin(), profile.arches.end(), token) != 0;
}

// The half of x86_64's numbers that x32 has. Without x32 it is another architecture, but for -1, by
// which a tracer says "no call".
void add_x32(std::vector<Range>& ranges, const Profile& profile) {
  if (has(profile, SCMP_ARCH_X32)) {
    Table(profile, *abi_of(SCMP_ARCH_X32)).write(ranges, kX32Bit);
    return;
  }
  append(ranges, kX32Bit, {{}, SECCOMP_RET_KILL_THREAD, true});
  append(ranges, UINT32_MAX, {{}, profile.default_action, true});
}

}  // namespace

std::vector<Calls> calls_of(const Profile& profile) {
  std::vector<Calls> all;
  for (uint32_t token : profile.arches) {
    const Abi* abi = abi_of(token);
    if (!abi || token == SCMP_ARCH_X32) continue;
    all.push_back({abi->audit, {}});
    Table(profile, *abi).write(all.back().ranges, 0);
    if (token == SCMP_ARCH_X86_64) add_x32(all.back().ranges, profile);
  }
  return all;
}

}  // namespace coracle::plan::seccomp
