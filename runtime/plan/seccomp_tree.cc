#include "runtime/plan/seccomp_tree.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <limits>
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

// Above this many ranges the best shape costs too long to find; then halves of equal weight.
constexpr size_t kMaxExact = 400;

struct Node {
  enum Kind : uint8_t { kLeaf, kSplit, kSingle } kind = kLeaf;
  size_t range =
      0;            // kLeaf: the range. kSplit: the first one to the right. kSingle: the one number
  size_t left = 0;  // kSplit: nodes. kSingle: left is the number's leaf, right is all around it
  size_t right = 0;
};

class Shape {
 public:
  explicit Shape(const std::vector<Range>& ranges) : ranges_(ranges), weights_(ranges.size() + 1) {
    for (size_t i = 0; i < ranges.size(); ++i) weights_[i + 1] = weights_[i] + weight(i);
  }

  // The node of ranges [first, last).
  size_t build(size_t first, size_t last) {
    if (last - first > kMaxExact) {
      size_t middle = halve(first, last);
      size_t left = build(first, middle);
      return add({Node::kSplit, middle, left, build(middle, last)});
    }
    solve(first, last);
    return place(first, last);
  }
  const Node& operator[](size_t node) const { return nodes_[node]; }

 private:
  struct Best {
    uint64_t cost = 0;
    size_t split = 0;  // first range of the right part; 0: a single number amid one range
  };

  uint64_t weight(size_t i) const {
    uint64_t first = ranges_[i].first;
    uint64_t end = i + 1 < ranges_.size() ? ranges_[i + 1].first : uint64_t{1} << 32;
    uint64_t real = std::min<uint64_t>(end, kRealNumbers) - std::min<uint64_t>(first, kRealNumbers);
    return 1 + real * kRealWeight;
  }
  uint64_t weight(size_t first, size_t last) const { return weights_[last] - weights_[first]; }

  size_t halve(size_t first, size_t last) const {
    uint64_t half = weights_[first] + weight(first, last) / 2;
    size_t at = static_cast<size_t>(std::lower_bound(weights_.begin(), weights_.end(), half) -
                                    weights_.begin());
    return std::clamp(at, first + 1, last - 1);
  }

  // Three ranges of which the middle one is a single number and the others are the same: one
  // comparison does for two.
  bool is_single(size_t first, size_t last) const {
    return last - first == 3 && ranges_[first + 2].first == ranges_[first + 1].first + 1 &&
           ranges_[first].answer == ranges_[first + 2].answer;
  }

  Best& best(size_t first, size_t last) { return best_[(first - base_) * span_ + last - base_]; }

  // The optimal search tree, by ranges of growing length; the best split of a range lies between
  // those of its two shorter ones (Knuth, TAOCP 3, 6.2.2). Single numbers bend that rule a little:
  // what comes out is within a percent of the best.
  void solve(size_t begin, size_t end) {
    base_ = begin;
    span_ = end - begin + 1;
    best_.assign(span_ * span_, {});
    for (size_t length = 2; length <= end - begin; ++length) {
      for (size_t first = begin; first + length <= end; ++first) {
        best(first, first + length) = cheapest(first, first + length);
      }
    }
  }
  Best cheapest(size_t first, size_t last) {
    if (is_single(first, last)) return {weight(first, last), 0};
    Best found{std::numeric_limits<uint64_t>::max(), 0};
    size_t from = best(first, last - 1).split, to = best(first + 1, last).split;
    if (from <= first || from >= last) from = first + 1;
    if (to < from || to >= last) to = last - 1;
    for (size_t split = from; split <= to; ++split) {
      uint64_t cost = best(first, split).cost + best(split, last).cost;
      if (cost < found.cost) found = {cost, split};
    }
    found.cost += weight(first, last);
    return found;
  }

  size_t place(size_t first, size_t last) {
    if (last - first == 1) return add({Node::kLeaf, first, 0, 0});
    size_t split = best(first, last).split;
    if (split == 0) {
      size_t middle = add({Node::kLeaf, first + 1, 0, 0});
      return add({Node::kSingle, first + 1, middle, add({Node::kLeaf, first, 0, 0})});
    }
    size_t left = place(first, split);
    return add({Node::kSplit, split, left, place(split, last)});
  }

  size_t add(Node node) {
    nodes_.push_back(node);
    return nodes_.size() - 1;
  }

  const std::vector<Range>& ranges_;
  std::vector<uint64_t> weights_;  // sums: of all ranges before
  std::vector<Node> nodes_;
  std::vector<Best> best_;
  size_t base_ = 0;
  size_t span_ = 0;
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
    Shape shape(ranges);
    size_t root = shape.build(0, ranges.size());
    Label top = node(shape, ranges, root);
    if (!(top == a_.here())) a_.go(top);  // a tree of one leaf that was written before
    return a_.load(kNumber);
  }

  Label node(const Shape& shape, const std::vector<Range>& ranges, size_t at) {
    const Node& n = shape[at];
    if (n.kind == Node::kLeaf) return leaf(ranges[n.range].answer);
    // Near the end comes what is written first; the lower numbers are the busier ones.
    Label right = node(shape, ranges, n.right);
    Label left = node(shape, ranges, n.left);
    uint32_t number = ranges[n.range].first;
    if (n.kind == Node::kSingle) return a_.jump(kEqual, number, left, reach(right));
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

  Label leaf(const Answer& answer) {
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
};

}  // namespace

std::optional<std::vector<uint64_t>> make_tree(const Profile& profile) {
  std::optional<std::vector<Calls>> calls = calls_of(profile);
  if (!calls) return std::nullopt;
  // An architecture without rules is not what the profile was written for.
  std::vector<uint64_t> program = Writer(SECCOMP_RET_KILL_THREAD).write(*calls);
  if (program.size() > BPF_MAXINSNS) return std::nullopt;
  return program;
}

}  // namespace coracle::plan::seccomp
