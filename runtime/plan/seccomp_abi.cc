#include "runtime/plan/seccomp_abi.h"

#include <seccomp.h>

#include "runtime/plan/seccomp_bpf.h"

namespace coracle::plan::seccomp {
namespace {

// Linux, arch/arm/include/uapi/asm/unistd.h: __ARM_NR_BASE.
constexpr uint32_t kArmPrivate = 0x0f0000;

constexpr Abi kAbis[] = {
    {SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, true, 0},
    {SCMP_ARCH_X86, AUDIT_ARCH_I386, false, 0},
    {SCMP_ARCH_X32, AUDIT_ARCH_X86_64, false, 0},
    {SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, true, 0},
    {SCMP_ARCH_ARM, AUDIT_ARCH_ARM, false, kArmPrivate},
};

struct Call {
  std::string_view name;
  int number;
};

// i386 has these calls twice: behind socketcall(2) or ipc(2), and, since Linux 4.3 or 5.1, by
// themselves. libseccomp knows the former by negative numbers, the call's own in the last digits.
constexpr Call kDirect[] = {
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

// System calls of Linux 6.5 to 6.19, which libseccomp 2.5 does not know; later ones do, and are
// asked first. Since Linux 5.1 a new call has one number on all architectures (but x32's bit).
constexpr Call kNewer[] = {
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},      {"listns", 470},
};

template <size_t N>
int number_in(const Call (&table)[N], std::string_view name) {
  for (const Call& row : table) {
    if (row.name == name) return row.number;
  }
  return -1;
}

// `number` is libseccomp's negative one.
Entrance multiplexed(std::string_view name, int number) {
  Entrance entrance;
  if (number > -100 || number <= -300) return entrance;  // not in this ABI
  const bool ipc = number <= -200;
  entrance.multiplexer = ipc ? kIpc : kSocketcall;
  entrance.call = static_cast<uint32_t>(-number % (ipc ? 200 : 100));
  entrance.number = number_in(kDirect, name);
  return entrance;
}

}  // namespace

const Abi* abi_of(uint32_t token) {
  for (const Abi& abi : kAbis) {
    if (abi.token == token) return &abi;
  }
  return nullptr;
}

int newer_number(std::string_view name) { return number_in(kNewer, name); }

Entrance native_entrance(int number) {
  Entrance entrance;
  if (number >= 0) entrance.number = number;
  return entrance;
}

Entrance entrance_of(std::string_view name, const Abi& abi) {
  int number = seccomp_syscall_resolve_name_arch(abi.token, name.data());
  if (number == __NR_SCMP_ERROR) {
    number = newer_number(name);
    if (number >= 0 && abi.token == SCMP_ARCH_X32) number |= int{kX32Bit};
  }
  if (number < 0 && abi.token == SCMP_ARCH_X86) return multiplexed(name, number);
  return native_entrance(number);
}

}  // namespace coracle::plan::seccomp
