// The ABIs that a program on x86_64 or aarch64 can have, and how each gets at a system call.
// Names and numbers are libseccomp's.
#pragma once

#include <cstdint>
#include <string_view>

namespace coracle::plan::seccomp {

struct Abi {
  uint32_t token;          // SCMP_ARCH_*
  uint32_t audit;          // seccomp_data.arch; x32 has x86_64's
  bool wide;               // arguments have 64 bits; of x32's, only the lower half counts, as in
                           // libseccomp
  uint32_t private_calls;  // calls from this number on are the architecture's own; 0: none
};

inline constexpr size_t kAbiCount = 5;

// Null for an architecture whose programs run on neither machine.
const Abi* abi_of(uint32_t token);

struct SystemCall {
  std::string_view name;
  int numbers[kAbiCount];  // libseccomp's: negative where the call has none, or another entrance
};

// Every call that libseccomp knows, and those of later kernels. Null: none has this name.
const SystemCall* find_call(std::string_view name);

// How a program gets at a call; -1: not that way. i386 has two for many: a number of the call's
// own, and socketcall(2) or ipc(2) with the call as their first argument.
struct Entrance {
  int number = -1;
  int multiplexer = -1;
  uint32_t call = 0;
};

// `abi` is one of abi_of()'s.
Entrance entrance_of(const SystemCall& call, const Abi& abi);

}  // namespace coracle::plan::seccomp
