#pragma once
// Runs a seccomp filter as the kernel would: the oracle of the filter tests. check() is what
// seccomp(2) accepts (kernel/seccomp.c, seccomp_check_filter), run() is the machine.

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace coracle::tests {

inline std::string check_filter(const std::vector<uint64_t>& program) {
  if (program.empty() || program.size() > BPF_MAXINSNS) return "bad size";
  for (size_t pc = 0; pc < program.size(); ++pc) {
    auto in = std::bit_cast<sock_filter>(program[pc]);
    size_t left = program.size() - pc - 1;
    switch (in.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (in.k % 4 != 0 || in.k >= sizeof(seccomp_data)) return "bad load";
        break;
      case BPF_ALU | BPF_AND | BPF_K:
      case BPF_RET | BPF_K:
        break;
      case BPF_JMP | BPF_JA:
        if (in.k >= left) return "long jump out of the program";
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
      case BPF_JMP | BPF_JGT | BPF_K:
      case BPF_JMP | BPF_JGE | BPF_K:
      case BPF_JMP | BPF_JSET | BPF_K:
        if (in.jt >= left || in.jf >= left) return "jump out of the program";
        break;
      default:
        return "unknown instruction " + std::to_string(in.code);
    }
  }
  auto last = std::bit_cast<sock_filter>(program.back());
  return last.code == (BPF_RET | BPF_K) ? "" : "does not end with a return";
}

// The verdict; `steps` (if given) grows by the instructions executed.
inline uint32_t run_filter(const std::vector<uint64_t>& program, const seccomp_data& data,
                           uint64_t* steps = nullptr) {
  uint32_t a = 0;
  for (size_t pc = 0;; ++pc) {
    auto in = std::bit_cast<sock_filter>(program.at(pc));
    if (steps) ++*steps;
    switch (in.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + in.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= in.k;
        break;
      case BPF_JMP | BPF_JA:
        pc += in.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        pc += a == in.k ? in.jt : in.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        pc += a > in.k ? in.jt : in.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        pc += a >= in.k ? in.jt : in.jf;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        pc += (a & in.k) ? in.jt : in.jf;
        break;
      default:
        return in.k;  // check_filter() lets only BPF_RET come here
    }
  }
}

}  // namespace coracle::tests
