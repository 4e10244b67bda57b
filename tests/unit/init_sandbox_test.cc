#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

namespace {

// getppid is answered with `verdict`, everything else allowed.
std::vector<uint64_t> filter_getppid(uint32_t verdict) {
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, verdict),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  std::vector<uint64_t> words(4);
  memcpy(words.data(), program, sizeof(program));
  return words;
}

}  // namespace

TEST_CASE("no new privileges, then a seccomp filter as an ordinary user") {
  {
    const int line = in_child(0, [] {
      if (geteuid() == 0) {
        EXPECT(setresuid(65534, 65534, 65534) == 0);
      }
      Bench bench;
      bench.b.init("", plan::NoNewPrivileges{});
      bench.b.init("", plan::SeccompFilter{
                           bench.b.list(filter_getppid(SECCOMP_RET_ERRNO | ENOTUNIQ)), 0, 0});
      bench.seal();
      EXPECT(bench.run(1) == -EACCES);
      EXPECT(bench.c.call == Call::k_seccomp);
      EXPECT(bench.run(0) == 0);
      EXPECT(bench.run(1) == 0);
      EXPECT(syscall(SYS_getppid) == -1);
      EXPECT(errno == ENOTUNIQ);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("a seccomp listener goes to the parent") {
  {
    const int line = in_child(0, [] {
      Bench bench;
      int parent = -1;
      bench.b.init("", plan::NoNewPrivileges{});
      bench.b.init("",
                   plan::SeccompFilter{bench.b.list(filter_getppid(SECCOMP_RET_USER_NOTIF)), 0, 1});
      bench.seal();
      EXPECT(connect_sync(bench, parent));
      EXPECT(bench.run(0) == 0);
      EXPECT(bench.run(1) == 0);
      const Received got = receive(parent);
      EXPECT(got.message.kind == plan::MessageKind::kDescriptor);
      EXPECT(got.message.step == 1);
      EXPECT(got.fd >= 0);
      const uint64_t no_such_request = 1;
      EXPECT(ioctl(got.fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &no_such_request) == -1);
      EXPECT(errno == ENOENT);  // it is a listener, and has no such request
      return 0;
    });
    CHECK(line == 0);
  }
}
