// The device program against a straightforward walk over the rules, by an interpreter of the few
// instructions it uses. Whether the kernel's verifier takes it: cgroup_fs_test.cc.
#include <doctest/doctest.h>
#include <linux/bpf.h>

#include <cstring>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/plan/devices_bpf.h"
#include "spec/error.h"
#include "tests/unit/random.h"

using coracle::plan::device_program;
using coracle::spec::LinuxDeviceCgroup;
using Rules = std::vector<LinuxDeviceCgroup>;

namespace {

struct Access {
  uint32_t type;  // 1 block, 2 char
  uint32_t bits;  // 1 mknod, 2 read, 4 write
  uint32_t major;
  uint32_t minor;
};

constexpr uint32_t kBlock = 1, kChar = 2, kMknod = 1, kRead = 2, kWrite = 4;

// REQUIRE counts every call, which takes longer than the programs.
void need(bool holds) {
  if (!holds) FAIL("the verifier would refuse this program");
}

// Runs a program; every path has to end within as many steps as it has instructions (no loops).
bool run(const std::vector<uint64_t>& words, const Access& access) {
  if (words.empty()) return true;
  std::vector<bpf_insn> code(words.size());
  std::memcpy(code.data(), words.data(), words.size() * 8);
  const uint32_t context[3] = {access.bits << 16 | access.type, access.major, access.minor};
  uint32_t reg[11] = {};
  bool known[11] = {};
  known[1] = true;
  size_t pc = 0;
  for (size_t steps = 0; steps <= code.size(); ++steps) {
    need(pc < code.size());
    const bpf_insn i = code[pc++];
    const uint32_t imm = static_cast<uint32_t>(i.imm);
    bool jump = false;
    switch (i.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        need(i.src_reg == 1);
        need((i.off == 0 || i.off == 4 || i.off == 8));
        reg[i.dst_reg] = context[i.off / 4];
        known[i.dst_reg] = true;
        continue;
      case BPF_ALU | BPF_MOV | BPF_X:
        need(known[i.src_reg]);
        reg[i.dst_reg] = reg[i.src_reg];
        known[i.dst_reg] = true;
        continue;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        reg[i.dst_reg] = imm;
        known[i.dst_reg] = true;
        continue;
      case BPF_ALU | BPF_RSH | BPF_K:
        need(known[i.dst_reg]);
        reg[i.dst_reg] >>= imm;
        continue;
      case BPF_ALU | BPF_AND | BPF_K:
        need(known[i.dst_reg]);
        reg[i.dst_reg] &= imm;
        continue;
      case BPF_JMP | BPF_EXIT:
        need(known[0]);
        return reg[0] != 0;
      case BPF_JMP | BPF_JA:
        jump = true;
        break;
      case BPF_JMP32 | BPF_JEQ | BPF_K:
        jump = reg[i.dst_reg] == imm;
        break;
      case BPF_JMP32 | BPF_JNE | BPF_K:
        jump = reg[i.dst_reg] != imm;
        break;
      case BPF_JMP32 | BPF_JSET | BPF_K:
        jump = (reg[i.dst_reg] & imm) != 0;
        break;
      default:
        FAIL("unknown instruction ", int(i.code));
    }
    if (i.code != (BPF_JMP | BPF_JA)) need(known[i.dst_reg]);
    need(i.off >= 0);
    if (jump) pc += static_cast<size_t>(i.off);
  }
  FAIL("does not end");
  return false;
}

// Every instruction can be reached: the verifier refuses the others.
bool all_reachable(const std::vector<uint64_t>& words) {
  std::vector<bpf_insn> code(words.size());
  if (!code.empty()) std::memcpy(code.data(), words.data(), words.size() * 8);
  std::vector<bool> reached(code.size() + 1);
  if (!code.empty()) reached[0] = true;
  for (size_t i = 0; i < code.size(); ++i) {
    if (!reached[i]) return false;
    const uint8_t op = code[i].code;
    const bool is_jump = (op & 7) == BPF_JMP || (op & 7) == BPF_JMP32;
    if (is_jump && op != (BPF_JMP | BPF_EXIT)) {
      const size_t target = i + 1 + static_cast<size_t>(code[i].off);
      if (target >= code.size()) return false;
      reached[target] = true;
    }
    if (op != (BPF_JMP | BPF_EXIT) && op != (BPF_JMP | BPF_JA)) reached[i + 1] = true;
  }
  return !reached[code.size()];
}

LinuxDeviceCgroup rule(bool allow, const char* type, int64_t major, int64_t minor,
                       const char* access) {
  LinuxDeviceCgroup r;
  r.allow = allow;
  r.type = type;
  r.major = major;
  r.minor = minor;
  r.access = access;
  return r;
}

const Rules& defaults() {
  static const Rules rules = {
      rule(true, "c", -1, -1, "m"),    rule(true, "b", -1, -1, "m"),   rule(true, "c", 1, 3, "rwm"),
      rule(true, "c", 1, 5, "rwm"),    rule(true, "c", 1, 7, "rwm"),   rule(true, "c", 1, 8, "rwm"),
      rule(true, "c", 1, 9, "rwm"),    rule(true, "c", 5, 0, "rwm"),   rule(true, "c", 5, 2, "rwm"),
      rule(true, "c", 136, -1, "rwm"), rule(true, "c", 10, 200, "rwm")};
  return rules;
}

// The oracle: bit by bit, the last rule that names device and bit decides.
bool walk(Rules rules, const Access& access) {
  rules.insert(rules.end(), defaults().begin(), defaults().end());
  for (uint32_t bit : {kMknod, kRead, kWrite}) {
    if (!(access.bits & bit)) continue;
    const char letter = bit == kMknod ? 'm' : bit == kRead ? 'r' : 'w';
    bool allow = false;
    for (const LinuxDeviceCgroup& r : rules) {
      if (r.type == "b" && access.type != kBlock) continue;
      if (r.type == "c" && access.type != kChar) continue;
      if (r.major.value_or(-1) != -1 && *r.major != access.major) continue;
      if (r.minor.value_or(-1) != -1 && *r.minor != access.minor) continue;
      if (r.access.find(letter) != r.access.npos) allow = r.allow;
    }
    if (!allow) return false;
  }
  return true;
}

// Compares program and oracle on every device number that could make a difference.
void compare(const Rules& rules) {
  const std::vector<uint64_t> program = device_program(rules);
  CHECK(all_reachable(program));
  std::vector<uint32_t> majors = {0, 1, 5, 10, 136, 4294967295u};
  std::vector<uint32_t> minors = {0, 2, 3, 9, 200, 4294967295u};
  for (const LinuxDeviceCgroup& r : rules) {
    if (r.major.value_or(-1) >= 0) majors.push_back(static_cast<uint32_t>(*r.major));
    if (r.minor.value_or(-1) >= 0) minors.push_back(static_cast<uint32_t>(*r.minor));
  }
  for (uint32_t type : {kBlock, kChar}) {
    for (uint32_t bits = 1; bits < 8; ++bits) {
      for (uint32_t major : majors) {
        for (uint32_t minor : minors) {
          const Access access{type, bits, major, minor};
          if (run(program, access) == walk(rules, access)) continue;
          FAIL_CHECK("differs: type ", type, " bits ", bits, " device ", major, ":", minor);
          return;
        }
      }
    }
  }
}

std::string error_of(const Rules& rules) {
  try {
    device_program(rules);
  } catch (const coracle::spec::Error& e) {
    return e.what();
  }
  return "";
}

Rules random_rules(std::mt19937_64& random) {
  static const char* const kTypes[] = {"a", "b", "c", "c", ""};
  static const char* const kAccess[] = {"r", "w", "m", "rw", "rm", "wm", "rwm", "rwm", "mwr"};
  auto pick = [&](unsigned n) { return random() % n; };
  auto number = [&]() { return pick(3) == 0 ? int64_t{-1} : static_cast<int64_t>(pick(4)); };
  Rules rules;
  for (unsigned n = pick(9); n > 0; --n) {
    const char* type = kTypes[pick(5)];
    rules.push_back(rule(pick(2) == 0, type, number(), number(), kAccess[pick(9)]));
    if (pick(8) == 0) rules.back().major.reset();
    if (pick(8) == 0) rules.back().minor.reset();
  }
  return rules;
}

}  // namespace

TEST_CASE("no rules: the list that every container has") {
  compare({});
  const auto program = device_program({});
  CHECK(run(program, {kChar, kRead | kWrite, 1, 3}));
  CHECK(run(program, {kChar, kRead | kWrite, 136, 77}));
  CHECK(run(program, {kBlock, kMknod, 8, 0}));
  CHECK_FALSE(run(program, {kBlock, kRead, 8, 0}));
  CHECK_FALSE(run(program, {kChar, kRead, 1, 1}));
}

TEST_CASE("Docker's rules give no more code than the list alone") {
  const Rules docker = {rule(false, "", -1, -1, "rwm"),  rule(true, "c", -1, -1, "m"),
                        rule(true, "b", -1, -1, "m"),    rule(true, "c", 1, 3, "rwm"),
                        rule(true, "c", 1, 8, "rwm"),    rule(true, "c", 5, 0, "rwm"),
                        rule(true, "c", 136, -1, "rwm"), rule(false, "c", 10, 229, "rwm")};
  compare(docker);
  CHECK(device_program(docker).size() == device_program({}).size());
  CHECK(device_program({}).size() <= 24);
}

TEST_CASE("a privileged container needs no program") {
  CHECK(device_program({rule(true, "a", -1, -1, "rwm")}).empty());
  CHECK(device_program({rule(false, "a", -1, -1, "rwm"), rule(true, "a", -1, -1, "rwm")}).empty());
  CHECK(device_program({rule(true, "b", -1, -1, "rwm"), rule(true, "c", -1, -1, "rw")}).empty());
  CHECK_FALSE(device_program({rule(true, "b", -1, -1, "rwm")}).empty());
}

TEST_CASE("later rules win, bit by bit") {
  const Rules rules = {rule(true, "c", 7, 1, "rw"), rule(false, "c", 7, -1, "w")};
  compare(rules);
  const auto program = device_program(rules);
  CHECK(run(program, {kChar, kRead, 7, 1}));
  CHECK_FALSE(run(program, {kChar, kWrite, 7, 1}));
  CHECK_FALSE(run(program, {kChar, kRead | kWrite, 7, 1}));

  const Rules parts = {rule(true, "b", 8, -1, "r"), rule(true, "b", 8, 0, "w")};
  compare(parts);
  CHECK(run(device_program(parts), {kBlock, kRead | kWrite, 8, 0}));
  CHECK_FALSE(run(device_program(parts), {kBlock, kRead | kWrite, 8, 1}));
}

TEST_CASE("the list behind the rules cannot be switched off") {
  const Rules rules = {rule(true, "c", 9, 9, "rwm"), rule(false, "a", -1, -1, "rwm")};
  compare(rules);
  CHECK(run(device_program(rules), {kChar, kRead, 1, 3}));
  CHECK_FALSE(run(device_program(rules), {kChar, kRead, 9, 9}));
}

TEST_CASE("allow all but some") {
  compare({rule(true, "a", -1, -1, "rwm"), rule(false, "b", 8, 0, "rwm")});
  compare({rule(true, "a", -1, -1, "rwm"), rule(false, "b", -1, -1, "w")});
  compare({rule(true, "a", -1, -1, "r"), rule(false, "c", -1, 1, "r")});
}

TEST_CASE("random rules") {
  coracle::tests::each_seed(1000, [](uint64_t seed) {
    CAPTURE(seed);
    coracle::tests::Random random(seed);
    compare(random_rules(random.generator));
  });
}

// cgroup v1's device controller, which runc emulates on v2: one default, and exceptions from it by
// device. "a" sets the default and forgets the exceptions; a rule that says the default takes away
// from the exceptions, another adds to them. Where the default denies, one exception must have all
// that is wanted; where it allows, none may have any of it.
struct Emulation {
  void apply(const LinuxDeviceCgroup& r) {
    if (r.type == "a") {
      allow = r.allow;
      exceptions.clear();
      return;
    }
    uint32_t bits = 0;
    for (char c : r.access) bits |= c == 'r' ? kRead : c == 'w' ? kWrite : kMknod;
    uint32_t& held = exceptions[{r.type == "b" ? kBlock : kChar, *r.major, *r.minor}];
    held = r.allow == allow ? held & ~bits : held | bits;
  }
  bool allows(const Access& access) const {
    auto found = exceptions.find({access.type, access.major, access.minor});
    const uint32_t held = found == exceptions.end() ? 0 : found->second;
    return allow ? (held & access.bits) == 0 : (access.bits & ~held) == 0;
  }
  bool allow = false;
  std::map<std::tuple<uint32_t, int64_t, int64_t>, uint32_t> exceptions;
};

// Only rules for one device, and "a": a wildcard beside single devices is where the controller
// ignores rules, and runc refuses them.
TEST_CASE("random rules: as cgroup v1's device controller") {
  static constexpr const char* kAccess[] = {"r", "w", "m", "rw", "rm", "wm", "rwm"};
  coracle::tests::each_seed(1000, [](uint64_t seed) {
    coracle::tests::Random random(seed);
    CAPTURE(seed);
    Rules rules;
    Emulation emulation;
    for (size_t n = random.below(12); n > 0; --n) {
      if (random.chance(15)) {
        rules.push_back(rule(random.chance(50), "a", -1, -1, "rwm"));
      } else {
        rules.push_back(rule(random.chance(60), random.chance(50) ? "b" : "c",
                             20 + static_cast<int64_t>(random.below(2)),
                             static_cast<int64_t>(random.below(2)), random.of(kAccess)));
      }
      emulation.apply(rules.back());
    }
    const std::vector<uint64_t> program = device_program(rules);
    for (uint32_t type : {kBlock, kChar}) {
      for (uint32_t bits : {kRead, kWrite, kRead | kWrite}) {  // mknod is everybody's
        for (uint32_t device = 0; device < 9; ++device) {
          const Access access{type, bits, 20 + device / 3, device % 3};
          CHECK(run(program, access) == emulation.allows(access));
        }
      }
    }
  });
}

TEST_CASE("many rules") {
  Rules rules;
  for (int i = 0; i < 600; ++i) rules.push_back(rule(i % 3 != 0, i % 2 ? "c" : "b", i, 1, "rw"));
  const auto program = device_program(rules);
  CHECK(all_reachable(program));
  for (uint32_t i = 0; i < 600; ++i) {
    const Access access{i % 2 ? kChar : kBlock, kRead, i, 1};
    CHECK(run(program, access) == walk(rules, access));
  }
  rules.resize(9000, rules[0]);
  CHECK(error_of(rules) == "linux.resources.devices: more than 8192 rules");
}

TEST_CASE("rules that make no sense") {
  CHECK(error_of({rule(true, "p", 1, 1, "r")}) ==
        "linux.resources.devices[0].type: \"p\" is none of a, b, c");
  CHECK(error_of({rule(true, "c", 1, 1, "r"), rule(true, "c", 1, 1, "")}) ==
        "linux.resources.devices[1].access: cannot be empty");
  CHECK(error_of({rule(true, "c", 1, 1, "rx")}) ==
        "linux.resources.devices[0].access: only r, w and m are known");
  CHECK(error_of({rule(true, "c", -2, 1, "r")}) ==
        "linux.resources.devices[0].major: -2 is no device number");
  CHECK(error_of({rule(true, "c", 1, int64_t{1} << 32, "r")}) ==
        "linux.resources.devices[0].minor: 4294967296 is no device number");
}
