// The ABIs that a program on x86_64 or aarch64 can have, and how each gets at a system call.
// Names and numbers are libseccomp's.
#pragma once

#include <cstdint>
#include <string_view>

namespace coracle::plan::seccomp {

struct Abi {
  uint32_t token;  // SCMP_ARCH_*
  uint32_t audit;  // seccomp_data.arch; x32 has x86_64's
  bool wide;       // arguments have 64 bits; of x32's, only the lower half counts, as in libseccomp
  uint32_t private_calls;  // calls from this number on are the architecture's own; 0: none
};

// Null for an architecture whose programs run on neither machine.
const Abi* abi_of(uint32_t token);

// How a program gets at a call; -1: not that way. i386 has two for many: a number of the call's
// own, and socketcall(2) or ipc(2) with the call as their first argument.
struct Entrance {
  int number = -1;
  int multiplexer = -1;
  uint32_t call = 0;
};

// `name` is terminated by a zero.
Entrance entrance_of(std::string_view name, const Abi& abi);

// The same for a call of this machine's own architecture whose libseccomp number is known.
Entrance native_entrance(int number);

// The number of a call that libseccomp may not know; one for all ABIs but for x32's bit. -1: none.
int newer_number(std::string_view name);

}  // namespace coracle::plan::seccomp
