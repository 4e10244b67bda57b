// The tree against libseccomp: every number of every architecture, with every argument that can
// make a difference. Also libseccomp's two layouts against each other.
#include <doctest/doctest.h>
#include <linux/audit.h>
#include <seccomp.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "runtime/plan/seccomp.h"
#include "runtime/plan/seccomp_library.h"
#include "runtime/plan/seccomp_profile.h"
#include "runtime/plan/seccomp_tree.h"
#include "spec/error.h"
#include "tests/unit/bpf_interpreter.h"

using namespace coracle;
using namespace coracle::plan::seccomp;

namespace {

constexpr uint32_t kX32 = 0x40000000;

// Every name that libseccomp knows on the three architectures.
const std::vector<std::string>& all_names() {
  static const std::vector<std::string> names = [] {
    std::set<std::string> found = {"no_such_call"};
    for (uint32_t arch : std::initializer_list<uint32_t>{SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32}) {
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

std::vector<uint32_t> all_numbers() {
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
    for (uint64_t near : {v - 1, v, v + 1, v + high, v - high, v ^ (high << 31), ~v,
                          v & UINT32_MAX, v << 32, v | high, v | 0x10}) {
      of[index].insert(near);
    }
  }
  std::set<uint64_t> of[6];
};

struct Oracle {
  explicit Oracle(const Profile& profile) : samples(profile) {
    program = library_program(profile, false);
    if (wants_enosys(profile)) add_enosys(profile, program);
    for (const Rule& rule : profile.rules) {
      for (const Condition& c : rule.conditions) used.insert(c.index);
    }
  }

  // Calls `check(data)` for every case in which the oracle and `other` can differ.
  template <typename Check>
  void each(const std::vector<uint64_t>& other, const Check& check) const {
    for (uint32_t arch : std::initializer_list<uint32_t>{AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64,
                                                 0x12345u}) {
      for (uint32_t number : all_numbers()) {
        seccomp_data data = {};
        data.arch = arch;
        data.nr = static_cast<int>(number);
        check(data);
        if (loads_argument(program, data) || loads_argument(other, data)) {
          each_argument(data, check);
        }
      }
    }
  }

  std::vector<uint64_t> program;
  Samples samples;
  std::set<uint32_t> used;

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
  // Follows the path of this number; one that loads an argument shows on the first load.
  static bool loads_argument(const std::vector<uint64_t>& program, const seccomp_data& data) {
    uint32_t a = 0;
    for (size_t pc = 0;; ++pc) {
      auto in = std::bit_cast<sock_filter>(program.at(pc));
      switch (in.code) {
        case BPF_LD | BPF_W | BPF_ABS:
          if (in.k >= 16) return true;
          std::memcpy(&a, reinterpret_cast<const char*>(&data) + in.k, 4);
          break;
        case BPF_JMP | BPF_JA: pc += in.k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: pc += a == in.k ? in.jt : in.jf; break;
        case BPF_JMP | BPF_JGT | BPF_K: pc += a > in.k ? in.jt : in.jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: pc += a >= in.k ? in.jt : in.jf; break;
        case BPF_JMP | BPF_JSET | BPF_K: pc += (a & in.k) ? in.jt : in.jf; break;
        default: return false;
      }
    }
  }
};

// The number of cases in which `program` differs from the oracle; the first one is shown.
size_t differences(const Oracle& oracle, const std::vector<uint64_t>& program, size_t* cases) {
  CHECK(tests::check_filter(program) == "");
  size_t different = 0;
  oracle.each(program, [&](const seccomp_data& data) {
    ++*cases;
    uint32_t right = tests::run_filter(oracle.program, data);
    uint32_t ours = tests::run_filter(program, data);
    if (right == ours) return;
    if (different++ == 0) {
      MESSAGE("arch " << data.arch << " nr " << data.nr << " args " << data.args[0] << " "
                      << data.args[1] << " " << data.args[2] << ": " << right << " / " << ours);
    }
  });
  return different;
}

struct Random {
  explicit Random(uint32_t seed) : generator(seed) {}
  size_t below(size_t n) { return generator() % n; }
  bool chance(size_t percent) { return below(100) < percent; }
  template <typename T>
  const T& of(const std::vector<T>& list) {
    return list[below(list.size())];
  }
  std::mt19937_64 generator;
};

const std::vector<std::string_view> kActions = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG",
                                                "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"};

spec::LinuxSeccompArg random_arg(Random& r) {
  static const std::vector<std::string_view> ops = {
      "SCMP_CMP_EQ", "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_MASKED_EQ",
      "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GE", "SCMP_CMP_GT"};
  static const std::vector<uint64_t> values = {0, 1, 2, 7, 8, 40, 0x20000, 0x7e020000, 0xffffffff};
  static const std::vector<uint64_t> wide = {0x100000000, 0x500000007, UINT64_MAX, 0xffffffff00000000};
  spec::LinuxSeccompArg a;
  a.index = static_cast<uint32_t>(r.below(4));
  a.op = r.of(ops);
  a.value = r.chance(10) ? r.of(wide) : r.of(values);
  a.valueTwo = r.chance(50) ? 0 : r.of(values);
  return a;
}

// Conditions: one, or several on different arguments, or several on one.
void add_args(spec::LinuxSyscall& rule, Random& r) {
  size_t count = r.chance(70) ? 1 : 2 + r.below(2);
  for (size_t i = 0; i < count; ++i) rule.args.push_back(random_arg(r));
}

// `few`: many rules for a handful of calls, so that they meet.
spec::LinuxSeccomp random_profile(Random& r, bool few = false) {
  static const std::vector<std::string> kFew = {"ioctl",  "socket", "bind", "sendto", "shmget",
                                                "chown32", "fcntl", "socketcall"};
  spec::LinuxSeccomp s;
  s.defaultAction = r.of(kActions);
  if (r.chance(80)) s.architectures.push_back("SCMP_ARCH_X86_64");
  if (r.chance(60)) s.architectures.push_back("SCMP_ARCH_X86");
  if (r.chance(60)) s.architectures.push_back("SCMP_ARCH_X32");
  // One action for the rules with conditions in most profiles, so that many are plain.
  std::string_view main = r.of(kActions);
  size_t rules = 1 + r.below(12);
  for (size_t i = 0; i < rules; ++i) {
    spec::LinuxSyscall rule;
    rule.action = r.chance(85) ? main : r.of(kActions);
    if (rule.action == "SCMP_ACT_ERRNO" && r.chance(50)) {
      rule.errnoRet = static_cast<uint32_t>(r.below(50));
    }
    size_t names = few || r.chance(50) ? 1 + r.below(3) : 1 + r.below(120);
    for (size_t n = 0; n < names; ++n) rule.names.push_back(r.of(few ? kFew : all_names()));
    if (r.chance(few ? 90 : 40)) add_args(rule, r);
    s.syscalls.push_back(std::move(rule));
  }
  return s;
}

// As the engines' default: most calls allowed, a few by argument, the rest EPERM or ENOSYS.
spec::LinuxSeccomp engine_profile() {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  static const std::set<std::string> denied = {
      "acct", "add_key", "bpf", "clock_settime", "clone", "create_module", "delete_module",
      "finit_module", "fsopen", "get_kernel_syms", "get_mempolicy", "init_module", "ioperm", "iopl",
      "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "mount",
      "move_pages", "nfsservctl", "open_by_handle_at", "perf_event_open", "personality",
      "pivot_root", "process_vm_readv", "ptrace", "query_module", "quotactl", "reboot",
      "request_key", "set_mempolicy", "setns", "settimeofday", "socket", "stime", "swapoff",
      "swapon", "sysfs", "_sysctl", "umount", "umount2", "unshare", "uselib", "userfaultfd",
      "ustat", "vm86", "vm86old", "no_such_call"};
  spec::LinuxSyscall allow;
  allow.action = "SCMP_ACT_ALLOW";
  for (const std::string& name : all_names()) {
    if (!denied.count(name)) allow.names.push_back(name);
  }
  s.syscalls.push_back(allow);
  auto conditional = [&s](std::string_view name, std::string_view op, uint64_t a, uint64_t b = 0) {
    spec::LinuxSyscall rule;
    rule.names = {name};
    rule.action = "SCMP_ACT_ALLOW";
    rule.args.resize(1);
    rule.args[0].op = op;
    rule.args[0].value = a;
    rule.args[0].valueTwo = b;
    s.syscalls.push_back(rule);
  };
  for (uint64_t v : {0x0ull, 0x8ull, 0x20000ull, 0x20008ull, 0xffffffffull}) {
    conditional("personality", "SCMP_CMP_EQ", v);
  }
  conditional("clone", "SCMP_CMP_MASKED_EQ", 2114060288);
  conditional("socket", "SCMP_CMP_NE", 40);
  s.syscalls.push_back(s.syscalls.back());
  s.syscalls.back().action = "SCMP_ACT_ERRNO";
  s.syscalls.back().errnoRet = 97;
  s.syscalls.back().args[0].op = "SCMP_CMP_EQ";
  return s;
}

Profile resolved(const spec::LinuxSeccomp& s) {
  plan::Warnings warnings;
  return resolve(s, warnings);
}

uint64_t steps_of(const std::vector<uint64_t>& program) {
  uint64_t steps = 0;
  for (uint32_t arch : std::initializer_list<uint32_t>{AUDIT_ARCH_X86_64, AUDIT_ARCH_I386}) {
    for (int n = 0; n < 470; ++n) {
      seccomp_data data = {};
      data.arch = arch;
      data.nr = n;
      tests::run_filter(program, data, &steps);
    }
  }
  return steps;
}

}  // namespace

TEST_CASE("an engine's profile: tree, libseccomp's tree and libseccomp's list agree") {
  Profile profile = resolved(engine_profile());
  Oracle oracle(profile);
  std::optional<std::vector<uint64_t>> tree = make_tree(profile);
  REQUIRE(tree);
  std::vector<uint64_t> binary = library_program(profile, true);
  add_enosys(profile, binary);
  size_t cases = 0;
  CHECK(differences(oracle, *tree, &cases) == 0);
  CHECK(differences(oracle, binary, &cases) == 0);
  CHECK(cases > 10000);
  // What the tree is for; see seccomp_tree.h.
  MESSAGE("instructions: list " << oracle.program.size() << ", libseccomp's tree " << binary.size()
                                << ", ours " << tree->size());
  MESSAGE("steps: list " << steps_of(oracle.program) << ", libseccomp's tree " << steps_of(binary)
                         << ", ours " << steps_of(*tree));
  CHECK(tree->size() * 2 < binary.size());
  CHECK(steps_of(*tree) * 2 < steps_of(binary));
}

TEST_CASE("random profiles: the tree agrees with libseccomp wherever it is used") {
  // More, for a change of the tree: CORACLE_SECCOMP_PROFILES=5000.
  const char* wish = getenv("CORACLE_SECCOMP_PROFILES");
  const uint32_t profiles = wish ? static_cast<uint32_t>(atoi(wish)) : 150;
  size_t plain = 0, cases = 0, refused = 0;
  for (uint32_t seed = 1; seed <= profiles; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Profile profile = resolved(random_profile(random, seed % 2 == 0));
    std::optional<std::vector<uint64_t>> tree = make_tree(profile);
    if (!tree) continue;
    ++plain;
    try {
      Oracle oracle(profile);
      CHECK(differences(oracle, *tree, &cases) == 0);
    } catch (const spec::Error&) {
      ++refused;  // libseccomp cannot say it
    }
  }
  MESSAGE(plain << " of " << profiles << " profiles are plain, libseccomp refused " << refused << ", " << cases
                << " cases");
  CHECK(plain > profiles / 5);
}

TEST_CASE("random profiles: libseccomp's two layouts agree") {
  size_t cases = 0;
  for (uint32_t seed = 1000; seed < 1060; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Profile profile = resolved(random_profile(random));
    std::vector<uint64_t> binary;
    try {
      binary = library_program(profile, true);
    } catch (const spec::Error&) {
      continue;
    }
    if (wants_enosys(profile)) add_enosys(profile, binary);
    CHECK(differences(Oracle(profile), binary, &cases) == 0);
  }
}
