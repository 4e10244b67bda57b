#include "runtime/plan/seccomp_tree.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/plan/seccomp_bpf.h"
#include "runtime/plan/seccomp_calls.h"

namespace coracle::plan::seccomp {
namespace {

// ---- the shape: which comparison stands where ----

// Numbers below this are what kernels have (Linux 6.18: 470 and 471); the others' depth is no
// matter to the attach.
constexpr uint32_t kRealNumbers = 480;
constexpr uint64_t kRealWeight = 64;
// How much halves may differ rather than cut through Shape::is_single.
constexpr uint64_t kCutWeight = 8 * kRealWeight;

class Shape {
 public:
  explicit Shape(const std::vector<Range>& ranges) : ranges_(ranges), weights_(ranges.size() + 1) {
    for (size_t i = 0; i < ranges.size(); ++i) weights_[i + 1] = weights_[i] + weight(i);
  }

  // Where [first, last), at least two ranges, falls into halves of nearly the same weight, a single
  // number kept with its neighbours. (The optimal tree saves 1 % of the steps, and costs more to
  // find than all the rest.)
  size_t halve(size_t first, size_t last) const {
    const uint64_t half = weights_[first] + (weights_[last] - weights_[first]) / 2;
    const auto above = std::lower_bound(weights_.begin(), weights_.end(), half);
    const size_t near = static_cast<size_t>(above - weights_.begin());
    size_t best = first + 1;
    uint64_t best_cost = UINT64_MAX;
    for (size_t i = std::max(near, first + 3) - 2; i < std::min(near + 2, last); ++i) {
      uint64_t cost = weights_[i] < half ? half - weights_[i] : weights_[i] - half;
      if (is_single(i - 1, i + 2) || (i >= 2 && is_single(i - 2, i + 1))) cost += kCutWeight;
      if (cost < best_cost) {
        best = i;
        best_cost = cost;
      }
    }
    return best;
  }

  // Three ranges of which the middle one is a single number and the others are the same: one
  // comparison does for two.
  bool is_single(size_t first, size_t last) const {
    return last - first == 3 && last <= ranges_.size() &&
           ranges_[first + 2].first == ranges_[first + 1].first + 1 &&
           ranges_[first].answer == ranges_[first + 2].answer;
  }

 private:
  uint64_t weight(size_t i) const {
    uint64_t first = ranges_[i].first;
    uint64_t end = i + 1 < ranges_.size() ? ranges_[i + 1].first : uint64_t{1} << 32;
    uint64_t real = std::min<uint64_t>(end, kRealNumbers) - std::min<uint64_t>(first, kRealNumbers);
    return 1 + real * kRealWeight;
  }

  const std::vector<Range>& ranges_;
  std::vector<uint64_t> weights_;  // sums: of all ranges before
};

// ---- the code ----

class Writer {
 public:
  explicit Writer(uint32_t otherwise) : otherwise_(otherwise) {}

  // A tree for each architecture, the first one tested first.
  std::vector<uint64_t> write(const std::vector<Calls>& all) {
    std::vector<std::pair<uint32_t, Label>> bodies;
    for (auto calls = all.rbegin(); calls != all.rend(); ++calls) {
      bodies.emplace_back(calls->arch, tree(calls->ranges));
    }
    Label next = verdict(otherwise_);
    for (const auto& [arch, body] : bodies) next = a_.jump(kEqual, arch, body, next);
    a_.load(kArch);
    return a_.take();
  }

 private:
  // A return with this verdict within reach: one that is there already, or a new one.
  Label verdict(uint32_t value) {
    auto found = verdicts_.find(value);
    if (found != verdicts_.end() && a_.near(found->second)) return found->second;
    return verdicts_[value] = a_.ret(value);
  }

  Label tree(const std::vector<Range>& ranges) {
    Label top = node(Shape(ranges), ranges, 0, ranges.size());
    if (!(top == a_.here())) a_.go(top);  // a tree of one leaf that was written before
    return a_.load(kNumber);
  }

  // Decides among the ranges [first, last).
  Label node(const Shape& shape, const std::vector<Range>& ranges, size_t first, size_t last) {
    if (last - first == 1) return leaf(ranges[first].answer);
    const bool single = shape.is_single(first, last);
    const size_t middle = single ? first + 1 : shape.halve(first, last);
    const uint32_t number = ranges[middle].first;
    // Near the end comes what is written first; the lower numbers are the busier ones.
    Label right = single ? leaf(ranges[first].answer) : node(shape, ranges, middle, last);
    Label left = single ? leaf(ranges[middle].answer) : node(shape, ranges, first, middle);
    if (single) return a_.jump(kEqual, number, left, reach(right));
    return a_.jump(kGreaterEqual, number, reach(right), left);
  }

  // A return that came out of reach while its sibling was written can be had nearer.
  Label reach(Label target) {
    if (a_.near(target)) return target;
    for (const auto& [value, label] : verdicts_) {
      if (label == target) return verdict(value);
    }
    return target;
  }

  // The same conditions are written once, whichever calls and architectures have them.
  Label leaf(const Answer& answer) {
    if (answer.alternatives.empty()) return verdict(answer.otherwise);
    for (const auto& [written, label] : leaves_) {
      if (*written == answer) return label;
    }
    leaves_.emplace_back(&answer, write(answer));
    return leaves_.back().second;
  }

  Label write(const Answer& answer) {
    Label next = verdict(answer.otherwise);
    for (auto one = answer.alternatives.rbegin(); one != answer.alternatives.rend(); ++one) {
      next = alternative(*one, answer.wide, next);
    }
    return next;
  }

  Label alternative(const Alternative& one, bool wide, Label no) {
    Label yes = verdict(one.action);
    for (auto c = one.conditions.rbegin(); c != one.conditions.rend(); ++c) {
      yes = condition(*c, wide, yes, no);
    }
    return yes;
  }

  Label condition(const Condition& c, bool wide, Label yes, Label no) {
    switch (c.op) {
      case Operator::kEq:
        return equal(c, UINT64_MAX, c.value, wide, yes, no);
      case Operator::kNe:
        return equal(c, UINT64_MAX, c.value, wide, no, yes);
      case Operator::kMaskedEq:
        return equal(c, c.value, c.value_two, wide, yes, no);
      case Operator::kGt:
        return above(c, kGreater, wide, yes, no);
      case Operator::kLe:
        return above(c, kGreater, wide, no, yes);
      case Operator::kGe:
        return above(c, kGreaterEqual, wide, yes, no);
      case Operator::kLt:
        return above(c, kGreaterEqual, wide, no, yes);
    }
    return no;
  }

  Label equal(const Condition& c, uint64_t mask, uint64_t value, bool wide, Label yes, Label no) {
    Label low = half(c, false, static_cast<uint32_t>(mask), static_cast<uint32_t>(value), yes, no);
    if (!wide) return low;
    return half(c, true, static_cast<uint32_t>(mask >> 32), static_cast<uint32_t>(value >> 32), low,
                no);
  }

  Label half(const Condition& c, bool high, uint32_t mask, uint32_t value, Label yes, Label no) {
    if (mask == 0) return yes;
    Label at = a_.jump(kEqual, value, yes, no);
    if (mask != UINT32_MAX) at = a_.mask(mask);
    return a_.load(argument(c.index, high));
  }

  Label above(const Condition& c, Test test, bool wide, Label yes, Label no) {
    a_.jump(test, static_cast<uint32_t>(c.value), yes, no);
    Label low = a_.load(argument(c.index, false));
    if (!wide) return low;
    uint32_t high = static_cast<uint32_t>(c.value >> 32);
    Label same = a_.jump(kEqual, high, low, no);
    a_.jump(kGreater, high, yes, same);
    return a_.load(argument(c.index, true));
  }

  Assembler a_;
  uint32_t otherwise_;
  std::map<uint32_t, Label> verdicts_;
  std::vector<std::pair<const Answer*, Label>> leaves_;  // with conditions; of write()'s argument
};

}  // namespace

std::vector<uint64_t> make_tree(const Profile& profile) {
  // An architecture without rules is not what the profile was written for.
  return Writer(SECCOMP_RET_KILL_THREAD).write(calls_of(profile));
}

}  // namespace coracle::plan::seccomp
