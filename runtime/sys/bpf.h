// bpf(2), as far as device rules of cgroups need it. BPF memory is charged to the caller's memory
// cgroup since Linux 5.11, so RLIMIT_MEMLOCK is neither read nor raised.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// Loads a BPF_PROG_TYPE_CGROUP_DEVICE program of `count` struct bpf_insn. The kernel keeps its own
// copy. -EPERM without CAP_BPF or CAP_SYS_ADMIN in the initial user namespace.
Fd load_device_program(const uint64_t* instructions, size_t count);

// Attaches it to the cgroup, beside what ancestors and others have attached (all of them have to
// agree to an access). 0 or -errno.
int attach_device_program(const Fd& cgroup, const Fd& program);

// The same in the place of the one program that is attached to this very cgroup; where there is
// none, or there are several, it is put beside them. 0 or -errno.
int replace_device_program(const Fd& cgroup, const Fd& program);

// How many device programs are attached to this very cgroup, or -errno.
int count_device_programs(const Fd& cgroup);

}  // namespace coracle::sys
