// Writing a classic BPF program from its end to its beginning. Jumps in BPF only go forward, so
// whoever writes backwards knows every target already, and no jump has to be patched.
//
//   Assembler a;
//   Label deny = a.ret(...);  Label allow = a.ret(...);
//   a.jump(kEqual, 39, allow, deny);  a.load(kNumber);
//   a.take();                                        // load, jump, allow, deny
//
// An instruction that is no jump goes on with the one written just before it.
#pragma once

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace coracle::plan::seccomp {

// Where a jump can go: the number of instructions from there to the end.
struct Label {
  uint32_t to_end;
  bool operator==(const Label&) const = default;
};

enum Test : uint16_t {
  kEqual = BPF_JMP | BPF_JEQ | BPF_K,
  kGreater = BPF_JMP | BPF_JGT | BPF_K,
  kGreaterEqual = BPF_JMP | BPF_JGE | BPF_K,
};

// Offsets into struct seccomp_data.
inline constexpr uint32_t kNumber = offsetof(seccomp_data, nr);
inline constexpr uint32_t kArch = offsetof(seccomp_data, arch);
constexpr uint32_t argument(uint32_t index, bool high_half) {
  bool second_word = high_half == (std::endian::native == std::endian::little);
  return static_cast<uint32_t>(offsetof(seccomp_data, args)) + 8 * index + (second_word ? 4 : 0);
}

inline constexpr uint32_t kX32Bit = 0x40000000;  // of an x32 system call's number

class Assembler {
 public:
  Label here() const { return {static_cast<uint32_t>(code_.size())}; }
  Label ret(uint32_t verdict) { return put(BPF_RET | BPF_K, 0, 0, verdict); }
  Label load(uint32_t offset) { return put(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset); }
  Label mask(uint32_t bits) { return put(BPF_ALU | BPF_AND | BPF_K, 0, 0, bits); }
  Label go(Label target) { return put(BPF_JMP | BPF_JA, 0, 0, distance(target)); }

  // A target out of the reach of 8 bits gets a long jump of its own.
  Label jump(Test test, uint32_t value, Label yes, Label no) {
    if (distance(yes) > kReach - 1) yes = go(yes);
    if (distance(no) > kReach) no = go(no);
    return put(test, static_cast<uint8_t>(distance(yes)), static_cast<uint8_t>(distance(no)),
               value);
  }
  bool near(Label target) const { return distance(target) < kReach; }

  // The program, first instruction first; the assembler is empty afterwards.
  std::vector<uint64_t> take() {
    std::vector<uint64_t> program(code_.rbegin(), code_.rend());
    code_.clear();
    return program;
  }

 private:
  static constexpr uint32_t kReach = 255;

  uint32_t distance(Label target) const { return here().to_end - target.to_end; }
  Label put(uint16_t code, uint8_t yes, uint8_t no, uint32_t k) {
    code_.push_back(std::bit_cast<uint64_t>(sock_filter{code, yes, no, k}));
    return here();
  }

  std::vector<uint64_t> code_;
};

}  // namespace coracle::plan::seccomp
