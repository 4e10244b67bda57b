#include "runtime/plan/devices_bpf.h"

#include <linux/bpf.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {
namespace {

using spec::cat;
using spec::Error;

constexpr uint8_t kMknod = BPF_DEVCG_ACC_MKNOD;
constexpr uint8_t kAll = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
constexpr uint8_t kBlock = BPF_DEVCG_DEV_BLOCK;  // 1 and 2: also usable as a set
constexpr uint8_t kChar = BPF_DEVCG_DEV_CHAR;
constexpr int64_t kAny = -1;
constexpr size_t kMaxRules = 8192;  // a jump reaches 32767 instructions

struct Rule {
  bool allow;
  uint8_t types;  // set of kBlock, kChar
  int64_t major;
  int64_t minor;
  uint8_t access;  // set of BPF_DEVCG_ACC_*
};

// The order does not matter, as all of them allow; with the last first in the program, mknod is
// settled before anything else is looked at.
constexpr Rule kDefaultRules[] = {
    {true, kChar, 1, 3, kAll},       // null
    {true, kChar, 1, 5, kAll},       // zero
    {true, kChar, 1, 7, kAll},       // full
    {true, kChar, 1, 8, kAll},       // random
    {true, kChar, 1, 9, kAll},       // urandom
    {true, kChar, 5, 0, kAll},       // tty
    {true, kChar, 5, 2, kAll},       // ptmx
    {true, kChar, 136, kAny, kAll},  // pts/*
    {true, kChar, 10, 200, kAll},    // net/tun
    {true, kBlock | kChar, kAny, kAny, kMknod},
};

uint8_t parse_types(std::string_view type, const std::string& path) {
  if (type.empty() || type == "a") return kBlock | kChar;
  if (type == "b") return kBlock;
  if (type == "c") return kChar;
  throw Error::at(path + ".type", cat(spec::quoted(type), " is none of a, b, c"));
}

uint8_t parse_access(std::string_view access, const std::string& path) {
  uint8_t bits = 0;
  for (char c : access) {
    const uint8_t bit = c == 'r'   ? BPF_DEVCG_ACC_READ
                        : c == 'w' ? BPF_DEVCG_ACC_WRITE
                        : c == 'm' ? BPF_DEVCG_ACC_MKNOD
                                   : 0;
    if (bit == 0) throw Error::at(path + ".access", "only r, w and m are known");
    bits |= bit;
  }
  if (bits == 0) throw Error::at(path + ".access", "cannot be empty");
  return bits;
}

int64_t parse_number(const std::optional<int64_t>& number, const std::string& path) {
  const int64_t n = number.value_or(kAny);
  if (n < kAny || n > std::numeric_limits<uint32_t>::max()) {
    throw Error::at(path, cat(n, " is no device number"));
  }
  return n;
}

// In the order of the program: the last rule first.
std::vector<Rule> parse(const std::vector<spec::LinuxDeviceCgroup>& rules) {
  if (rules.size() > kMaxRules) {
    throw Error::at("linux.resources.devices", cat("more than ", kMaxRules, " rules"));
  }
  std::vector<Rule> out(std::begin(kDefaultRules), std::end(kDefaultRules));
  std::reverse(out.begin(), out.end());
  for (size_t i = rules.size(); i-- > 0;) {
    const spec::LinuxDeviceCgroup& rule = rules[i];
    const std::string path = cat("linux.resources.devices[", i, ']');
    out.push_back({rule.allow, parse_types(rule.type, path),
                   parse_number(rule.major, path + ".major"),
                   parse_number(rule.minor, path + ".minor"), parse_access(rule.access, path)});
  }
  return out;
}

// ---- making the list short -----------------------------------------------------------------

bool is_universal(const Rule& rule) { return rule.major == kAny && rule.minor == kAny; }

bool covers(const Rule& wide, const Rule& narrow) {
  return (wide.major == kAny || wide.major == narrow.major) &&
         (wide.minor == kAny || wide.minor == narrow.minor);
}

// What an earlier rule of the program has decided, a later one need not name.
void drop_hidden(std::vector<Rule>& rules) {
  std::vector<Rule> kept;
  for (Rule rule : rules) {
    for (const Rule& before : kept) {
      if (covers(before, rule)) rule.access &= static_cast<uint8_t>(~before.access);
    }
    if (rule.access != 0) kept.push_back(rule);
  }
  rules = std::move(kept);
}

// Neighbours that decide alike may change places: those of one major number come together, and
// wide ones in front, where they hide more.
void group_runs(std::vector<Rule>& rules) {
  for (auto begin = rules.begin(); begin != rules.end();) {
    auto end = std::find_if(begin, rules.end(),
                            [&](const Rule& rule) { return rule.allow != begin->allow; });
    std::stable_sort(begin, end, [](const Rule& a, const Rule& b) {
      return a.major != b.major ? a.major < b.major : a.minor < b.minor;
    });
    begin = end;
  }
}

// The rules for one type of device and what holds where none of them decides.
struct Section {
  std::vector<Rule> rules;
  bool allow = false;
};

uint8_t undecided(const std::vector<Rule>& rules) {
  uint8_t bits = kAll;
  for (const Rule& rule : rules) {
    if (is_universal(rule)) bits &= static_cast<uint8_t>(~rule.access);
  }
  return bits;
}

// A rule at the end that says what the default says is not needed, and one that decides all there
// is left to decide becomes the default.
void trim_end(Section& section) {
  while (!section.rules.empty()) {
    const Rule last = section.rules.back();
    section.rules.pop_back();
    if (last.allow == section.allow) continue;
    if (is_universal(last) && (undecided(section.rules) & ~last.access) == 0) {
      section.allow = last.allow;
      continue;
    }
    section.rules.push_back(last);
    return;
  }
}

Section make_section(const std::vector<Rule>& rules, uint8_t type) {
  Section section;
  for (Rule rule : rules) {
    if (!(rule.types & type)) continue;
    rule.types = kBlock | kChar;  // from here on the section says which
    section.rules.push_back(rule);
  }
  drop_hidden(section.rules);
  group_runs(section.rules);
  drop_hidden(section.rules);
  trim_end(section);
  return section;
}

bool same(const Rule& a, const Rule& b) {
  return a.allow == b.allow && a.major == b.major && a.minor == b.minor && a.access == b.access;
}

// ---- code ----------------------------------------------------------------------------------

// Registers: w2 the type in its low half, w3 the access bits that are not granted yet, w4 the
// major, w5 the minor number; r1 the context (struct bpf_cgroup_dev_ctx).
class Code {
 public:
  void load_access();
  void load_numbers();
  void rules(std::vector<Rule>::const_iterator begin, std::vector<Rule>::const_iterator end,
             uint8_t live);
  size_t jump_if_block();  // to be bound
  void bind(size_t jump) { at(jump).off = offset(jump, code_.size()); }
  void jump_if_block_to(bool allow) { branch(BPF_JSET, BPF_REG_2, kBlock, allow); }
  void jump(bool allow);
  // The two ends; `first` is the one that is fallen into.
  void finish(bool first);
  std::vector<uint64_t> take() const;

 private:
  size_t emit(uint8_t op, uint8_t dst, uint8_t src, int32_t imm, int16_t off = 0);
  size_t test(uint8_t condition, uint8_t reg, int64_t value);
  void branch(uint8_t condition, uint8_t reg, int64_t value, bool allow);
  void one_rule(const Rule& rule, uint8_t live);
  void end(bool allow, bool fallen_into);
  bpf_insn& at(size_t i) { return code_[i]; }
  static int16_t offset(size_t from, size_t to) { return static_cast<int16_t>(to - from - 1); }

  std::vector<bpf_insn> code_;
  std::vector<size_t> ends_[2];  // jumps to deny, to allow
};

size_t Code::emit(uint8_t op, uint8_t dst, uint8_t src, int32_t imm, int16_t off) {
  bpf_insn insn = {};
  insn.code = op;
  insn.dst_reg = dst & 15;
  insn.src_reg = src & 15;
  insn.off = off;
  insn.imm = imm;
  code_.push_back(insn);
  return code_.size() - 1;
}

size_t Code::test(uint8_t condition, uint8_t reg, int64_t value) {
  return emit(static_cast<uint8_t>(BPF_JMP32 | condition | BPF_K), reg, 0,
              static_cast<int32_t>(static_cast<uint32_t>(value)));
}

void Code::branch(uint8_t condition, uint8_t reg, int64_t value, bool allow) {
  ends_[allow].push_back(test(condition, reg, value));
}

size_t Code::jump_if_block() { return test(BPF_JSET, BPF_REG_2, kBlock); }

void Code::jump(bool allow) { ends_[allow].push_back(emit(BPF_JMP | BPF_JA, 0, 0, 0)); }

void Code::load_access() {
  emit(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0,
       offsetof(bpf_cgroup_dev_ctx, access_type));
  emit(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0);
  emit(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 16);
}

void Code::load_numbers() {
  emit(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 0, offsetof(bpf_cgroup_dev_ctx, major));
  emit(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 0, offsetof(bpf_cgroup_dev_ctx, minor));
}

// The major number is known to match. `live`: the bits that may be set in w3 here.
void Code::one_rule(const Rule& rule, uint8_t live) {
  const bool any = rule.minor == kAny;
  const bool whole = (live & ~rule.access) == 0;
  if (whole && !any) return branch(BPF_JEQ, BPF_REG_5, rule.minor, rule.allow);
  if (whole) return jump(rule.allow);
  const size_t skip = any ? 0 : test(BPF_JNE, BPF_REG_5, rule.minor);
  if (rule.allow) {
    emit(BPF_ALU | BPF_AND | BPF_K, BPF_REG_3, 0, kAll & ~rule.access);
    branch(BPF_JEQ, BPF_REG_3, 0, true);
  } else {
    branch(BPF_JSET, BPF_REG_3, rule.access, false);
  }
  if (!any) bind(skip);
}

void Code::rules(std::vector<Rule>::const_iterator begin, std::vector<Rule>::const_iterator end,
                 uint8_t live) {
  while (begin != end) {
    const Rule& first = *begin;
    auto next = std::find_if(begin, end, [&](const Rule& r) { return r.major != first.major; });
    const bool whole = (live & ~first.access) == 0;
    if (first.major != kAny && next == begin + 1 && first.minor == kAny && whole) {
      branch(BPF_JEQ, BPF_REG_4, first.major, first.allow);
    } else {
      const size_t skip = first.major == kAny ? 0 : test(BPF_JNE, BPF_REG_4, first.major);
      for (auto rule = begin; rule != next; ++rule) {
        one_rule(*rule, live);
        if (is_universal(*rule)) live &= static_cast<uint8_t>(~rule->access);
      }
      if (first.major != kAny) bind(skip);
    }
    begin = next;
  }
}

void Code::end(bool allow, bool fallen_into) {
  if (!fallen_into && ends_[allow].empty()) return;  // the verifier refuses unreachable code
  for (size_t jump : ends_[allow]) bind(jump);
  emit(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, allow);
  emit(BPF_JMP | BPF_EXIT, 0, 0, 0);
}

void Code::finish(bool first) {
  end(first, true);
  end(!first, false);
}

std::vector<uint64_t> Code::take() const {
  static_assert(sizeof(bpf_insn) == sizeof(uint64_t));
  std::vector<uint64_t> words(code_.size());
  std::memcpy(words.data(), code_.data(), code_.size() * sizeof(uint64_t));
  return words;
}

}  // namespace

std::vector<uint64_t> device_program(const std::vector<spec::LinuxDeviceCgroup>& rules) {
  const std::vector<Rule> parsed = parse(rules);
  const Section block = make_section(parsed, kBlock);
  const Section chr = make_section(parsed, kChar);
  const bool one_default = block.allow == chr.allow;
  if (block.rules.empty() && chr.rules.empty() && one_default && chr.allow) return {};

  // What both types begin with is done once, before they part.
  size_t common = 0;
  while (common < block.rules.size() && common < chr.rules.size() &&
         same(block.rules[common], chr.rules[common])) {
    ++common;
  }
  const auto fork = chr.rules.begin() + static_cast<std::ptrdiff_t>(common);
  const auto block_fork = block.rules.begin() + static_cast<std::ptrdiff_t>(common);
  const uint8_t live = undecided({chr.rules.begin(), fork});

  Code code;
  code.load_access();
  auto numbers = [](const Rule& rule) { return !is_universal(rule); };
  const bool early = std::any_of(chr.rules.begin(), fork, numbers);
  if (early) code.load_numbers();
  code.rules(chr.rules.begin(), fork, kAll);
  if (!early && (fork != chr.rules.end() || block_fork != block.rules.end())) code.load_numbers();

  if (block_fork == block.rules.end()) {
    if (fork != chr.rules.end() || !one_default) code.jump_if_block_to(block.allow);
    code.rules(fork, chr.rules.end(), live);
    code.finish(chr.allow);
  } else {
    const size_t to_block = code.jump_if_block();
    code.rules(fork, chr.rules.end(), live);
    code.jump(chr.allow);
    code.bind(to_block);
    code.rules(block_fork, block.rules.end(), live);
    code.finish(block.allow);
  }
  return code.take();
}

}  // namespace coracle::plan
