#include "runtime/plan/seccomp_abi.h"

#include <linux/audit.h>
#include <seccomp.h>

#include <algorithm>

namespace coracle::plan::seccomp {
namespace {

// Linux, arch/arm/include/uapi/asm/unistd.h: __ARM_NR_BASE.
constexpr uint32_t kArmPrivate = 0x0f0000;

// As the columns of SystemCall::numbers (seccomp_names_generator.cc).
constexpr Abi kAbis[kAbiCount] = {
    {SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, true, 0},
    {SCMP_ARCH_X86, AUDIT_ARCH_I386, false, 0},
    {SCMP_ARCH_X32, AUDIT_ARCH_X86_64, false, 0},
    {SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, true, 0},
    {SCMP_ARCH_ARM, AUDIT_ARCH_ARM, false, kArmPrivate},
};

// By name.
constexpr SystemCall kCalls[] = {
#include "runtime/plan/seccomp_names.inc"
};

struct Direct {
  std::string_view name;
  int number;
};

// i386 has these calls twice: behind socketcall(2) or ipc(2), and, since Linux 4.3 or 5.1, by
// themselves. libseccomp knows the former by negative numbers, the call's own in the last digits.
constexpr Direct kDirect[] = {
    {"recvmmsg", 337},   {"sendmmsg", 345},   {"socket", 359},      {"socketpair", 360},
    {"bind", 361},       {"connect", 362},    {"listen", 363},      {"accept4", 364},
    {"getsockopt", 365}, {"setsockopt", 366}, {"getsockname", 367}, {"getpeername", 368},
    {"sendto", 369},     {"sendmsg", 370},    {"recvfrom", 371},    {"recvmsg", 372},
    {"shutdown", 373},   {"semget", 393},     {"semctl", 394},      {"shmget", 395},
    {"shmctl", 396},     {"shmat", 397},      {"shmdt", 398},       {"msgget", 399},
    {"msgsnd", 400},     {"msgrcv", 401},     {"msgctl", 402},
};
constexpr int kSocketcall = 102;
constexpr int kIpc = 117;

// `number` is libseccomp's negative one.
Entrance multiplexed(std::string_view name, int number) {
  Entrance entrance;
  if (number > -100 || number <= -300) return entrance;  // not in this ABI
  const bool ipc = number <= -200;
  entrance.multiplexer = ipc ? kIpc : kSocketcall;
  entrance.call = static_cast<uint32_t>(-number % (ipc ? 200 : 100));
  for (const Direct& row : kDirect) {
    if (row.name == name) entrance.number = row.number;
  }
  return entrance;
}

}  // namespace

const Abi* abi_of(uint32_t token) {
  for (const Abi& abi : kAbis) {
    if (abi.token == token) return &abi;
  }
  return nullptr;
}

const SystemCall* find_call(std::string_view name) {
  const auto* end = std::end(kCalls);
  const auto* found =
      std::lower_bound(std::begin(kCalls), end, name,
                       [](const SystemCall& call, std::string_view n) { return call.name < n; });
  return found != end && found->name == name ? found : nullptr;
}

Entrance entrance_of(const SystemCall& call, const Abi& abi) {
  const int number = call.numbers[&abi - kAbis];
  if (number < 0 && abi.token == SCMP_ARCH_X86) return multiplexed(call.name, number);
  Entrance entrance;
  if (number >= 0) entrance.number = number;
  return entrance;
}

}  // namespace coracle::plan::seccomp
