// Device rules -> a BPF_PROG_TYPE_CGROUP_DEVICE program. Pure.
//
// Meaning of the rules: everything is denied at first; then each wanted access bit (read, write,
// mknod) is decided by the last rule that names both the device and the bit; access is given if
// all wanted bits are. Behind the bundle's rules stands a list that every container gets
// (config-linux.md "Default Devices", /dev/pts, tun, and mknod of anything, which is harmless
// without the other two), whether or not the bundle has rules.
//
// The program is short: rules that later ones hide are left out, rules of one major number share
// its test, and what is left at the end decides the default.
#pragma once

#include <cstdint>
#include <vector>

#include "spec/spec.h"

namespace coracle::plan {

// Each element is a struct bpf_insn. Empty: nothing is denied, no program is needed.
// Throws spec::Error at linux.resources.devices[i] for a rule that makes no sense.
std::vector<uint64_t> device_program(const std::vector<spec::LinuxDeviceCgroup>& rules);

}  // namespace coracle::plan
