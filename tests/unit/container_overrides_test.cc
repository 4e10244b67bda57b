#include <doctest/doctest.h>

#include "runtime/container/overrides.h"
#include "spec/error.h"

using coracle::container::apply;
using coracle::container::Overrides;
using coracle::spec::Error;
using coracle::spec::Process;
using coracle::spec::Strings;

namespace {

Process base() {
  Process p;
  p.terminal = true;
  p.consoleSize.emplace();
  p.user.uid = 1000;
  p.user.gid = 1001;
  p.user.additionalGids = {5};
  p.args = {"init"};
  p.env = {"A=1"};
  p.cwd = "/work";
  p.noNewPrivileges = true;
  p.apparmorProfile = "profile";
  p.selinuxLabel = "label";
  return p;
}

}  // namespace

TEST_CASE("overrides: what is not given stays, but never the terminal") {
  Overrides changes;
  changes.args = {"ls", "-l"};
  Process p = apply(changes, base());
  CHECK(p.args == Strings{"ls", "-l"});
  CHECK(p.env == Strings{"A=1"});
  CHECK(p.cwd == "/work");
  CHECK(p.user.uid == 1000);
  CHECK(p.user.gid == 1001);
  CHECK(p.noNewPrivileges);
  CHECK(p.apparmorProfile == "profile");
  CHECK(p.selinuxLabel == "label");
  CHECK_FALSE(p.terminal);
  CHECK_FALSE(p.consoleSize);
  CHECK_FALSE(p.capabilities);
}

TEST_CASE("overrides: each of them") {
  Overrides changes;
  changes.env = {"B=2"};
  changes.cwd = "/x";
  changes.uid = 7;
  changes.gid = 8;
  changes.additional_gids = {9};
  changes.apparmor = "other";
  changes.selinux_label = "other label";
  changes.no_new_privileges = false;
  changes.terminal = true;
  Process p = apply(changes, base());
  CHECK(p.env == Strings{"A=1", "B=2"});
  CHECK(p.cwd == "/x");
  CHECK(p.user.uid == 7);
  CHECK(p.user.gid == 8);
  CHECK(p.user.additionalGids == std::vector<uint32_t>{5, 9});
  CHECK(p.apparmorProfile == "other");
  CHECK(p.selinuxLabel == "other label");
  CHECK_FALSE(p.noNewPrivileges);
  CHECK(p.terminal);
}

TEST_CASE("overrides: --cap never touches the inheritable set (CVE-2022-29162)") {
  Process p = base();
  p.capabilities.emplace();
  p.capabilities->bounding = {"CAP_KILL"};
  p.capabilities->inheritable = {"CAP_CHOWN"};
  Overrides changes;
  changes.capabilities = {"CAP_SYS_ADMIN", "CAP_KILL", "CAP_CHOWN"};
  auto sets = *apply(changes, p).capabilities;
  CHECK(sets.bounding == Strings{"CAP_KILL", "CAP_SYS_ADMIN", "CAP_CHOWN"});
  CHECK(sets.effective == Strings{"CAP_SYS_ADMIN", "CAP_KILL", "CAP_CHOWN"});
  CHECK(sets.permitted == sets.effective);
  CHECK(sets.inheritable == Strings{"CAP_CHOWN"});
  CHECK(sets.ambient == Strings{"CAP_CHOWN"});
}

TEST_CASE("overrides: --cap for a process that had no sets, and one that does not exist") {
  Overrides changes;
  changes.capabilities = {"CAP_KILL"};
  auto sets = *apply(changes, base()).capabilities;
  CHECK(sets.effective == Strings{"CAP_KILL"});
  CHECK(sets.ambient.empty());
  changes.capabilities = {"CAP_NONSENSE"};
  CHECK_THROWS_AS(apply(changes, base()), Error);
}
