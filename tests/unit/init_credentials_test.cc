#include <doctest/doctest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

TEST_CASE("capabilities are exactly those asked for, across the change of user") {
  if (!is_root()) return;
  {
    const int line = in_child(0, [] {
      constexpr uint64_t kKill = 1 << CAP_KILL, kBind = 1 << CAP_NET_BIND_SERVICE,
                         kChown = 1 << CAP_CHOWN;
      Bench bench;
      const uint32_t gids[] = {5, 7};
      bench.b.init("", plan::BoundingSet{kKill | kBind | kChown});
      bench.b.init("", plan::Groups{bench.b.list(gids, 2), 0});
      bench.b.init("", plan::SetIds{1000, 1001});
      plan::Capabilities caps{};
      caps.permitted = kKill | kBind;
      caps.effective = kKill;
      caps.inheritable = kBind;
      caps.ambient = kBind;
      bench.b.init("", caps);
      caps = {};
      caps.permitted = kKill | kChown;
      caps.flags = plan::kCapabilitiesCheck;
      bench.b.init("", caps);
      bench.seal();
      for (size_t i = 0; i < 4; ++i) EXPECT(bench.run(i) == 0);
      EXPECT(status_field("CapBnd") == (kKill | kBind | kChown));
      EXPECT(status_field("CapPrm") == (kKill | kBind));
      EXPECT(status_field("CapEff") == kKill);
      EXPECT(status_field("CapInh") == kBind);
      EXPECT(status_field("CapAmb") == kBind);
      uid_t r, e, s;
      EXPECT(getresuid(&r, &e, &s) == 0);
      EXPECT(r == 1000 && e == 1000 && s == 1000);
      EXPECT(getresgid(&r, &e, &s) == 0);
      EXPECT(r == 1001 && e == 1001 && s == 1001);
      gid_t groups[4];
      EXPECT(getgroups(4, groups) == 2);
      EXPECT(groups[0] == 5 && groups[1] == 7);
      bench.c.held = 0;                // as if this were the first look
      EXPECT(bench.run(4) == -EPERM);  // the check: CAP_CHOWN is gone
      EXPECT(bench.c.extra == CAP_CHOWN);
      int signal = 0;
      EXPECT(prctl(PR_GET_PDEATHSIG, &signal) == 0);
      EXPECT(signal == SIGKILL);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("what is not held is left out, not an error") {
  if (!is_root()) return;
  {
    const int line = in_child(0, [] {
      Bench bench;
      constexpr uint64_t kKill = 1 << CAP_KILL;
      plan::Capabilities all{};
      all.permitted = all.effective = all.inheritable = kKill;
      bench.b.init("", all);
      all.permitted = all.effective = ~uint64_t{0};
      all.inheritable = 0;
      bench.b.init("", all);
      bench.seal();
      EXPECT(bench.run(0) == 0);
      bench.c.held = 0;
      EXPECT(bench.run(1) == 0);
      EXPECT(status_field("CapPrm") == kKill);
      EXPECT(status_field("CapInh") == 0);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("groups that may be denied") {
  {
    const int line = in_child(0, [] {
      if (geteuid() == 0) {
        EXPECT(setresuid(65534, 65534, 65534) == 0);
      }
      EXPECT(run_one(plan::Groups{{}, 0}) == -EPERM);
      EXPECT(run_one(plan::Groups{{}, plan::kGroupsMayBeDenied}) == 0);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("umask") {
  {
    const int line = in_child(0, [] {
      EXPECT(run_one(plan::Umask{0027}) == 0);
      EXPECT(umask(0) == 0027);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("CAP_SYS_ADMIN stays until the filter is loaded, then goes") {
  if (!is_root()) return;
  const int line = in_child(0, [] {
    constexpr uint64_t kKill = 1 << CAP_KILL, kAdmin = 1 << CAP_SYS_ADMIN;
    Bench bench;
    plan::Capabilities caps{};
    caps.permitted = caps.effective = caps.inheritable = caps.ambient = kKill;
    caps.flags = plan::kCapabilitiesKeepAdmin;
    bench.b.init("", plan::SetIds{1000, 1000});
    bench.b.init("", caps);
    caps.flags = plan::kCapabilitiesFinal;
    bench.b.init("", caps);
    bench.seal();
    EXPECT(bench.run(0) == 0);
    EXPECT(bench.run(1) == 0);
    EXPECT(status_field("CapEff") == (kKill | kAdmin));
    EXPECT(status_field("CapInh") == kKill);
    EXPECT(bench.run(2) == 0);
    EXPECT(status_field("CapEff") == kKill);
    EXPECT(status_field("CapPrm") == kKill);
    EXPECT(status_field("CapAmb") == kKill);
    return 0;
  });
  CHECK(line == 0);
}
