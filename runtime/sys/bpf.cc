#include "runtime/sys/bpf.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace coracle::sys {
namespace {

constexpr int kLoadTries = 5;

// An fd, 0, or -errno. The attribute union is zero beyond what the caller set.
int bpf(int command, bpf_attr& attr) {
  long r = ::syscall(SYS_bpf, command, &attr, sizeof(attr));
  return r < 0 ? -errno : static_cast<int>(r);
}

uint64_t address(const void* p) { return reinterpret_cast<uintptr_t>(p); }

int attach(const Fd& cgroup, const Fd& program, uint32_t flags, const Fd* replaced) {
  bpf_attr attr = {};
  attr.target_fd = static_cast<uint32_t>(cgroup.get());
  attr.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = flags;
  if (replaced) attr.replace_bpf_fd = static_cast<uint32_t>(replaced->get());
  return bpf(BPF_PROG_ATTACH, attr);
}

// The number of attached programs; the id of the first in `id`, if there is one.
int query(const Fd& cgroup, uint32_t& id) {
  constexpr uint32_t kRoom = 64;  // BPF_CGROUP_MAX_PROGS
  uint32_t ids[kRoom] = {};
  bpf_attr attr = {};
  attr.query.target_fd = static_cast<uint32_t>(cgroup.get());
  attr.query.attach_type = BPF_CGROUP_DEVICE;
  attr.query.prog_ids = address(ids);
  attr.query.prog_cnt = kRoom;
  if (int r = bpf(BPF_PROG_QUERY, attr); r < 0) return r;
  id = ids[0];
  return static_cast<int>(attr.query.prog_cnt);
}

}  // namespace

Fd load_device_program(const uint64_t* instructions, size_t count) {
  static const char kLicense[] = "";  // no helper is called, so none is needed
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = address(instructions);
  attr.insn_cnt = static_cast<uint32_t>(count);
  attr.license = address(kLicense);
  // The verifier gives up with EAGAIN when a signal is pending.
  int fd = -EAGAIN;
  for (int tries = 0; fd == -EAGAIN && tries < kLoadTries; ++tries) fd = bpf(BPF_PROG_LOAD, attr);
  return Fd(fd);
}

int attach_device_program(const Fd& cgroup, const Fd& program) {
  return attach(cgroup, program, BPF_F_ALLOW_MULTI, nullptr);
}

int replace_device_program(const Fd& cgroup, const Fd& program) {
  uint32_t id = 0;
  const int count = query(cgroup, id);
  if (count < 0) return count;
  if (count != 1) return attach_device_program(cgroup, program);
  bpf_attr attr = {};
  attr.prog_id = id;
  Fd old(bpf(BPF_PROG_GET_FD_BY_ID, attr));
  // Gone in between: then there is nothing to replace.
  if (old.error() == ENOENT) return attach_device_program(cgroup, program);
  if (!old) return -old.error();
  return attach(cgroup, program, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, &old);
}

int count_device_programs(const Fd& cgroup) {
  uint32_t id = 0;
  return query(cgroup, id);
}

}  // namespace coracle::sys
