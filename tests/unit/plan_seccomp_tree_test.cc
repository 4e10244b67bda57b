// The tree against the rules themselves: every number of every architecture, with the arguments
// that can make a difference. And libseccomp against the same.
#include <doctest/doctest.h>
#include <linux/audit.h>
#include <seccomp.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtime/plan/seccomp.h"
#include "runtime/plan/seccomp_profile.h"
#include "runtime/plan/seccomp_tree.h"
#include "spec/error.h"
#include "tests/unit/random.h"
#include "tests/unit/seccomp_reference.h"

using namespace coracle;
using namespace coracle::plan::seccomp;
using tests::all_names;
using tests::by_library;
using tests::differences;
using tests::kX32;
using tests::Random;

namespace {

const std::vector<std::string_view> kActions = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG",
                                                "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"};

spec::LinuxSeccompArg random_arg(Random& r) {
  static const std::vector<std::string_view> ops = {
      "SCMP_CMP_EQ", "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_MASKED_EQ",
      "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GE", "SCMP_CMP_GT"};
  static const std::vector<uint64_t> values = {0, 1, 2, 7, 8, 40, 0x20000, 0x7e020000, 0xffffffff};
  static const std::vector<uint64_t> wide = {0x100000000, 0x500000007, UINT64_MAX,
                                             0xffffffff00000000};
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
  static const std::vector<std::string> kFew = {"ioctl",  "socket",  "bind",  "sendto",
                                                "shmget", "chown32", "fcntl", "socketcall"};
  spec::LinuxSeccomp s;
  s.defaultAction = r.of(kActions);
  if (r.chance(80)) s.architectures.push_back("SCMP_ARCH_X86_64");
  if (r.chance(60)) s.architectures.push_back("SCMP_ARCH_X86");
  if (r.chance(60)) s.architectures.push_back("SCMP_ARCH_X32");
  if (r.chance(50)) s.architectures.push_back("SCMP_ARCH_AARCH64");
  if (r.chance(40)) s.architectures.push_back("SCMP_ARCH_ARM");
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
  static const std::set<std::string> denied = {"acct",
                                               "add_key",
                                               "bpf",
                                               "clock_settime",
                                               "clone",
                                               "create_module",
                                               "delete_module",
                                               "finit_module",
                                               "fsopen",
                                               "get_kernel_syms",
                                               "get_mempolicy",
                                               "init_module",
                                               "ioperm",
                                               "iopl",
                                               "kcmp",
                                               "kexec_file_load",
                                               "kexec_load",
                                               "keyctl",
                                               "lookup_dcookie",
                                               "mbind",
                                               "mount",
                                               "move_pages",
                                               "nfsservctl",
                                               "open_by_handle_at",
                                               "perf_event_open",
                                               "personality",
                                               "pivot_root",
                                               "process_vm_readv",
                                               "ptrace",
                                               "query_module",
                                               "quotactl",
                                               "reboot",
                                               "request_key",
                                               "set_mempolicy",
                                               "setns",
                                               "settimeofday",
                                               "socket",
                                               "stime",
                                               "swapoff",
                                               "swapon",
                                               "sysfs",
                                               "_sysctl",
                                               "umount",
                                               "umount2",
                                               "unshare",
                                               "uselib",
                                               "userfaultfd",
                                               "ustat",
                                               "vm86",
                                               "vm86old",
                                               "no_such_call"};
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

// libseccomp does what the rules say, but
// - it loses some where several are for one call and one of these compares by order or has several
//   conditions;
// - it cuts values of more than 32 bits for 32-bit programs;
// - with a rule whose only condition has an empty mask, other calls' rules get lost.
bool is_safe_with_libseccomp(const Profile& profile) {
  std::map<std::string_view, size_t> rules, hard;
  for (const Rule& rule : profile.rules) {
    if (rule.conditions.empty()) continue;
    std::string_view name = profile.known[rule.call]->name;
    // All of them are one call to i386.
    bool multiplexed = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, name.data()) < -1;
    if (multiplexed) name = "socketcall";
    ++rules[name];
    if (rule.conditions.size() > 1) ++hard[name];
    for (const Condition& c : rule.conditions) {
      bool by_order = c.op != Operator::kEq && c.op != Operator::kNe && c.op != Operator::kMaskedEq;
      if (by_order) ++hard[name];
      if (c.value >> 32 || c.value_two >> 32) return false;
      if (c.op == Operator::kMaskedEq && c.value == 0) return false;
    }
  }
  return std::none_of(hard.begin(), hard.end(),
                      [&rules](const auto& one) { return rules[one.first] > 1; });
}

// The reason, where `make` refuses.
std::string refusal(const std::function<void()>& make) {
  try {
    make();
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
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

TEST_CASE(
    "an engine's profile: the tree, libseccomp's tree and libseccomp's list do what it says") {
  Profile profile = resolved(engine_profile());
  std::vector<uint64_t> tree = make_tree(profile);
  std::vector<uint64_t> binary = by_library(profile, true), list = by_library(profile, false);
  size_t cases = 0;
  CHECK(differences(profile, tree, &cases) == 0);
  CHECK(differences(profile, binary, &cases) == 0);
  CHECK(differences(profile, list, &cases) == 0);
  CHECK(cases > 30000);
  // What the tree is for; see seccomp_tree.h.
  MESSAGE("instructions: list " << list.size() << ", libseccomp's tree " << binary.size()
                                << ", ours " << tree.size());
  MESSAGE("steps: list " << steps_of(list) << ", libseccomp's tree " << steps_of(binary)
                         << ", ours " << steps_of(tree));
  CHECK(tree.size() * 2 < binary.size());
  CHECK(steps_of(tree) * 2 < steps_of(binary));
}

TEST_CASE("random profiles: the tree does what the rules say, and what libseccomp does") {
  size_t compared = 0, refused = 0, profiles = 0;
  tests::each_seed(60, [&](uint64_t seed) {
    CAPTURE(seed);
    Random random(seed);
    Profile profile = resolved(random_profile(random, seed % 2 == 0));
    ++profiles;
    std::vector<uint64_t> tree, library;
    std::string ours = refusal([&] { tree = make_tree(profile); });
    std::string theirs = refusal([&] { library = by_library(profile, true); });
    if (!ours.empty()) {
      ++refused;
      INFO(ours);
      // Nothing is refused that others take, unless they lose rules by taking it.
      CHECK((theirs != "" || !is_safe_with_libseccomp(profile)));
      return;
    }
    if (tree.size() > BPF_MAXINSNS) {
      CHECK(library.size() > BPF_MAXINSNS);
      return;
    }
    size_t cases = 0;
    CHECK(differences(profile, tree, &cases) == 0);
    if (!theirs.empty() || !is_safe_with_libseccomp(profile)) return;
    // Where several rules hold, the same one counts.
    size_t different = 0;
    tests::Cases(profile).each([&](const seccomp_data& data) {
      different += tests::run_filter(library, data) != tests::run_filter(tree, data);
    });
    CHECK(different == 0);
    ++compared;
  });
  if (profiles < 60) return;
  CHECK(compared > profiles / 10);
  CHECK(refused < profiles / 3);
}

TEST_CASE("rules that libseccomp 2.5.4 loses") {
  auto make = [](std::vector<spec::LinuxSeccompArg> args) {
    spec::LinuxSeccomp s;
    s.defaultAction = "SCMP_ACT_ALLOW";
    for (const spec::LinuxSeccompArg& a : args) {
      s.syscalls.push_back({});
      s.syscalls.back().names = {"ioctl"};
      s.syscalls.back().action = "SCMP_ACT_ERRNO";
      s.syscalls.back().args = {a};
    }
    return s;
  };
  auto denied = [](const spec::LinuxSeccomp& s, uint64_t a2, uint64_t a3) {
    plan::Warnings warnings;
    seccomp_data data = {};
    data.nr = 16;
    data.arch = AUDIT_ARCH_X86_64;
    data.args[2] = a2;
    data.args[3] = a3;
    return tests::run_filter(compile(s, warnings).instructions, data) != SECCOMP_RET_ALLOW;
  };
  spec::LinuxSeccomp order = make({{2, 0x7e020000, 0, "SCMP_CMP_LT"},
                                   {2, 0x20000, 0, "SCMP_CMP_LE"},
                                   {2, 0xffffffff00000000, 0, "SCMP_CMP_LE"}});
  CHECK(denied(order, 0xffffffff, 0));
  CHECK_FALSE(denied(order, 0xffffffff00000001, 0));
  spec::LinuxSeccomp mixed = make(
      {{3, 0x7e020000, 0, "SCMP_CMP_EQ"}, {2, 2, 0x28, "SCMP_CMP_EQ"}, {3, 7, 0, "SCMP_CMP_GE"}});
  CHECK(denied(mixed, 0, 0x7e020000));
  CHECK(denied(mixed, 0, 7));
  CHECK_FALSE(denied(mixed, 0, 6));
}

TEST_CASE("of two rules that hold the more specific one counts; a contradiction is refused") {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_KILL_PROCESS";
  s.syscalls.resize(2);
  s.syscalls[0].names = s.syscalls[1].names = {"ioctl"};
  s.syscalls[0].action = "SCMP_ACT_ALLOW";
  s.syscalls[1].action = "SCMP_ACT_ERRNO";
  s.syscalls[1].errnoRet = 7;
  plan::Warnings warnings;
  auto verdict = [&](uint64_t first, uint64_t second) {
    seccomp_data data = {};
    data.nr = 16;
    data.arch = AUDIT_ARCH_X86_64;
    data.args[1] = first;
    data.args[2] = second;
    return tests::run_filter(compile(s, warnings).instructions, data);
  };
  auto in_both_orders = [&](uint64_t first, uint64_t second) {
    uint32_t result = verdict(first, second);
    std::swap(s.syscalls[0], s.syscalls[1]);
    CHECK(verdict(first, second) == result);
    std::swap(s.syscalls[0], s.syscalls[1]);
    return result;
  };
  constexpr uint32_t kSeven = SECCOMP_RET_ERRNO | 7;
  auto set = [&](spec::LinuxSeccompArg one, spec::LinuxSeccompArg other) {
    s.syscalls[0].args = {one};
    s.syscalls[1].args = {other};
  };
  set({1, 5, 0, "SCMP_CMP_GE"}, {1, 9, 0, "SCMP_CMP_GE"});
  CHECK(in_both_orders(8, 0) == SECCOMP_RET_ALLOW);
  CHECK(in_both_orders(9, 0) == kSeven);
  set({1, 5, 0, "SCMP_CMP_LT"}, {1, 9, 0, "SCMP_CMP_LT"});
  CHECK(in_both_orders(4, 0) == SECCOMP_RET_ALLOW);
  set({1, 5, 0, "SCMP_CMP_EQ"}, {2, 5, 0, "SCMP_CMP_EQ"});
  CHECK(in_both_orders(5, 5) == kSeven);
  set({1, 5, 0, "SCMP_CMP_GE"}, {1, 7, 0, "SCMP_CMP_EQ"});
  CHECK(in_both_orders(7, 0) == kSeven);

  set({1, 5, 0, "SCMP_CMP_EQ"}, {1, 5, 0, "SCMP_CMP_EQ"});
  CHECK(refusal([&] { compile(s, warnings); }) ==
        "linux.seccomp.syscalls[1]: applies to calls that linux.seccomp.syscalls[0] applies to as "
        "well, with another action, and is not more specific");
  s.syscalls[0].args.push_back({2, 6, 0, "SCMP_CMP_EQ"});
  CHECK(refusal([&] { compile(s, warnings); }) != "");
  std::swap(s.syscalls[0], s.syscalls[1]);
  CHECK(verdict(5, 6) == kSeven);  // as with libseccomp: what is before stands for the rest
}

TEST_CASE("values of more than 32 bits, and empty masks") {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_ARM"};
  s.syscalls.resize(1);
  s.syscalls[0].action = "SCMP_ACT_ALLOW";
  s.syscalls[0].names = {"ioctl"};
  plan::Warnings warnings;
  auto allowed = [&](uint32_t arch, uint64_t argument, spec::LinuxSeccompArg condition) {
    s.syscalls[0].args = {condition};
    seccomp_data data = {};
    data.arch = arch;
    data.nr = arch == AUDIT_ARCH_X86_64 ? 16 : 54;
    data.args[1] = argument;
    return tests::run_filter(compile(s, warnings).instructions, data) == SECCOMP_RET_ALLOW;
  };
  for (uint32_t arch : {uint32_t{AUDIT_ARCH_I386}, uint32_t{AUDIT_ARCH_ARM}}) {
    CHECK_FALSE(allowed(arch, 7, {1, 0x100000007, 0, "SCMP_CMP_EQ"}));
    CHECK(allowed(arch, 7, {1, 0x100000007, 0, "SCMP_CMP_NE"}));
    CHECK(allowed(arch, 9, {1, 0x100000007, 0, "SCMP_CMP_LT"}));
    CHECK_FALSE(allowed(arch, 9, {1, 0x100000007, 0, "SCMP_CMP_GE"}));
    CHECK(allowed(arch, 9, {1, 0x100000000, 0, "SCMP_CMP_MASKED_EQ"}));
    CHECK_FALSE(allowed(arch, 9, {1, 0x100000001, 0x100000001, "SCMP_CMP_MASKED_EQ"}));
  }
  CHECK(allowed(AUDIT_ARCH_X86_64, 0x100000007, {1, 0x100000007, 0, "SCMP_CMP_EQ"}));
  CHECK_FALSE(allowed(AUDIT_ARCH_X86_64, 7, {1, 0x100000007, 0, "SCMP_CMP_EQ"}));
  CHECK(allowed(AUDIT_ARCH_X86_64, 7, {1, 0, 5, "SCMP_CMP_MASKED_EQ"}));
}

TEST_CASE("arm's own calls are no calls of a later kernel") {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.architectures = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
  s.syscalls.resize(1);
  s.syscalls[0].action = "SCMP_ACT_ALLOW";
  s.syscalls[0].names = {"openat2", "cacheflush"};
  plan::Warnings warnings;
  auto verdict = [&](uint32_t number) {
    seccomp_data data = {};
    data.arch = AUDIT_ARCH_ARM;
    data.nr = static_cast<int>(number);
    return tests::run_filter(compile(s, warnings).instructions, data);
  };
  CHECK(verdict(437) == SECCOMP_RET_ALLOW);
  CHECK(verdict(438) == (SECCOMP_RET_ERRNO | ENOSYS));
  CHECK(verdict(0xeffff) == (SECCOMP_RET_ERRNO | ENOSYS));
  CHECK(verdict(0xf0001) == (SECCOMP_RET_ERRNO | EPERM));
  CHECK(verdict(0xf0002) == SECCOMP_RET_ALLOW);
}

TEST_CASE("our table of names has libseccomp's numbers") {
  size_t found = 0;
  for (const std::string& name : all_names()) {
    const SystemCall* call = find_call(name);
    CAPTURE(name);
    if (seccomp_syscall_resolve_name(name.c_str()) == __NR_SCMP_ERROR) {
      CHECK(call == nullptr);
      continue;
    }
    REQUIRE(call != nullptr);
    ++found;
    for (size_t i = 0; i < kAbiCount; ++i) {
      CHECK(call->numbers[i] == seccomp_syscall_resolve_name_arch(tests::kTokens[i], name.c_str()));
    }
  }
  CHECK(found > 400);
  CHECK(find_call("sys_debug_setcontext") != nullptr);
  CHECK(find_call("") == nullptr);
}

TEST_CASE("system calls newer than libseccomp") {
  spec::LinuxSeccomp s;
  s.defaultAction = "SCMP_ACT_ERRNO";
  s.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  s.syscalls.resize(1);
  s.syscalls[0].names = {"getpid", "statmount", "mseal"};
  s.syscalls[0].action = "SCMP_ACT_ALLOW";
  plan::Warnings warnings;
  auto verdict = [&](uint32_t arch, uint32_t number) {
    seccomp_data data = {};
    data.arch = arch;
    data.nr = static_cast<int>(number);
    return tests::run_filter(compile(s, warnings).instructions, data);
  };
  CHECK(compile(s, warnings).unknown.empty());
  for (uint32_t number : {457u, 462u, 457 | kX32, 462 | kX32}) {
    CHECK(verdict(AUDIT_ARCH_X86_64, number) == SECCOMP_RET_ALLOW);
  }
  CHECK(verdict(AUDIT_ARCH_I386, 457) == SECCOMP_RET_ALLOW);
  CHECK(verdict(AUDIT_ARCH_X86_64, 453) == (SECCOMP_RET_ERRNO | EPERM));
  CHECK(verdict(AUDIT_ARCH_X86_64, 463) == (SECCOMP_RET_ERRNO | ENOSYS));
}
