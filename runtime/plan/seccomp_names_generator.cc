// Run by the build: writes the rows of seccomp_names.cc, from what libseccomp knows. To look a name
// up in libseccomp takes two thousand instructions for i386; of such look-ups a profile needs
// 1,300.
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

#include <set>
#include <string>

namespace {

// As the columns of SystemCall::numbers.
constexpr uint32_t kArchitectures[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32,
                                       SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
constexpr uint32_t kX32Bit = 0x40000000;

// System calls of Linux 6.5 to 6.19, which libseccomp 2.5 does not know. Since Linux 5.1 a new call
// has one number on all architectures (but x32's bit).
struct Newer {
  const char* name;
  int number;
};
constexpr Newer kNewer[] = {
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},      {"listns", 470},
};

// libseccomp has these, and does not tell.
constexpr const char* kHidden[] = {"sys_debug_setcontext"};

using Names = std::set<std::string>;

// Every name that libseccomp has: on one of these architectures, or with a negative number for a
// call that others have (-10,000 and below; -100 to -300: behind socketcall(2) and ipc(2)).
void add_names(uint32_t arch, int first, int last, Names& names) {
  for (int number = first; number <= last; ++number) {
    const int own = arch == SCMP_ARCH_X32 && number >= 0 ? number | int{kX32Bit} : number;
    char* name = seccomp_syscall_resolve_num_arch(arch, own);
    if (name != nullptr) names.emplace(name);
    free(name);
  }
}

int number_of(const std::string& name, uint32_t arch) {
  const int number = seccomp_syscall_resolve_name_arch(arch, name.c_str());
  if (number != __NR_SCMP_ERROR) return number;
  for (const Newer& call : kNewer) {
    if (name == call.name) return call.number | (arch == SCMP_ARCH_X32 ? int{kX32Bit} : 0);
  }
  return number;
}

}  // namespace

int main() {
  constexpr int kLowest = -11000, kHighest = 1000;
  constexpr int kArmPrivate = 0xf0000;
  Names names;
  for (const Newer& call : kNewer) names.emplace(call.name);
  for (const char* name : kHidden) names.emplace(name);
  for (uint32_t arch : kArchitectures) add_names(arch, kLowest, kHighest, names);
  add_names(SCMP_ARCH_ARM, kArmPrivate, kArmPrivate + 16, names);
  for (const std::string& name : names) {
    printf("{\"%s\", {", name.c_str());
    for (uint32_t arch : kArchitectures) printf("%d, ", number_of(name, arch));
    printf("}},\n");
  }
  return ferror(stdout) || fclose(stdout) ? 1 : 0;
}
