#include <doctest/doctest.h>
#include <sys/utsname.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

TEST_CASE("hostname and domainname of a new UTS namespace") {
  if (!is_root()) return;
  {
    const int line = in_child(CLONE_NEWUTS, [] {
      Bench bench;
      bench.b.init("", plan::Hostname{bench.b.str("boat")});
      bench.b.init("", plan::Domainname{bench.b.str("sea.example")});
      bench.b.init("", plan::Hostname{bench.b.str(std::string(65, 'x'))});
      bench.seal();
      EXPECT(bench.run(0) == 0);
      EXPECT(bench.run(1) == 0);
      utsname names;
      EXPECT(uname(&names) == 0);
      EXPECT(strcmp(names.nodename, "boat") == 0);
      EXPECT(strcmp(names.domainname, "sea.example") == 0);
      EXPECT(bench.run(2) == -EINVAL);
      EXPECT(bench.c.call == Call::k_sethostname);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("a session keyring of its own") {
  if (!is_root()) return;
  {
    const int line = in_child(0, [] {
      constexpr int kSessionKeyring = -3;
      const long before = syscall(SYS_keyctl, 0, kSessionKeyring, 0);
      Bench bench;
      bench.b.init("", plan::Keyring{bench.b.str("_ses.coracle-unit-test")});
      bench.seal();
      EXPECT(bench.run() == 0);
      const long after = syscall(SYS_keyctl, 0, kSessionKeyring, 0);
      if (before < 0 && errno == ENOSYS) return 0;
      EXPECT(after > 0);
      EXPECT(after != before);
      EXPECT(bench.run() == 0);  // once more, by the name of the one we have
      EXPECT(syscall(SYS_keyctl, 0, kSessionKeyring, 0) == after);
      return 0;
    });
    CHECK(line == 0);
  }
}
