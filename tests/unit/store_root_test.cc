#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "runtime/store/root.h"
#include "spec/error.h"
#include "tests/unit/temporary_directory.h"

using coracle::spec::Error;
using coracle::store::check_private;
using coracle::store::choose_root;
using coracle::store::prepare_root;
using coracle::store::RootChoice;
using coracle::store::RootFacts;
using coracle::tests::TemporaryDirectory;

namespace {

RootFacts root_user() { return {}; }

RootFacts ordinary_user() {
  RootFacts facts;
  facts.is_root = false;
  facts.user = "someone";
  facts.xdg_runtime_dir = "/run/user/1000";
  return facts;
}

}  // namespace

TEST_CASE("state root: root has /run/coracle, whatever XDG_RUNTIME_DIR says") {
  RootFacts facts = root_user();
  CHECK(choose_root(facts).path == "/run/coracle");
  facts.xdg_runtime_dir = "/run/user/0";
  CHECK(choose_root(facts).path == "/run/coracle");
  CHECK_FALSE(choose_root(facts).sticky);
  CHECK_FALSE(choose_root(facts).from_option);
}

TEST_CASE("state root: others have it below XDG_RUNTIME_DIR, sticky") {
  RootFacts facts = ordinary_user();
  CHECK(choose_root(facts).path == "/run/user/1000/coracle");
  CHECK(choose_root(facts).sticky);
  facts.xdg_runtime_dir = "";
  CHECK(choose_root(facts).path == "/run/coracle");
}

TEST_CASE("state root: root of a user namespace is root only if $USER says so") {
  RootFacts facts = ordinary_user();
  facts.is_root = true;
  facts.initial_userns = false;
  CHECK(choose_root(facts).path == "/run/user/1000/coracle");
  facts.user = "root";
  CHECK(choose_root(facts).path == "/run/coracle");
}

TEST_CASE("state root: --root is made absolute and clean") {
  RootFacts facts = ordinary_user();
  facts.working_directory = "/home/me";
  facts.option = "state/../other/.//x/";
  CHECK(choose_root(facts).path == "/home/me/other/x");
  CHECK(choose_root(facts).from_option);
  CHECK_FALSE(choose_root(facts).sticky);
  facts.option = "/var//run/";
  CHECK(choose_root(facts).path == "/var/run");
}

TEST_CASE("state root: / is refused in every spelling") {
  for (const char* option : {"/", "//", "/.", "/a/..", "/../..", "../.."}) {
    CAPTURE(option);
    RootFacts facts = root_user();
    facts.working_directory = "/home/me";
    facts.option = option;
    CHECK_THROWS_AS(choose_root(facts), Error);
  }
}

TEST_CASE("prepare_root makes missing parents, all 0700") {
  TemporaryDirectory dir;
  std::string path = dir.path() + "/a/b";
  prepare_root({path, true, false});
  struct stat st;
  REQUIRE(stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0700);
  REQUIRE(stat((dir.path() + "/a").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0700);
  prepare_root({path, true, false});  // and again
}

TEST_CASE("prepare_root sets the sticky bit below XDG_RUNTIME_DIR") {
  TemporaryDirectory dir;
  std::string path = dir.path() + "/coracle";
  prepare_root({path, false, true});
  struct stat st;
  REQUIRE(stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 01700);
}

TEST_CASE("prepare_root refuses a directory that others may write to") {
  TemporaryDirectory dir;
  REQUIRE(chmod(dir.path().c_str(), 0770) == 0);
  CHECK_THROWS_AS(prepare_root({dir.path(), true, false}), Error);
  REQUIRE(chmod(dir.path().c_str(), 0755) == 0);
  CHECK_NOTHROW(prepare_root({dir.path(), true, false}));
}

TEST_CASE("check_private refuses somebody else's directory") {
  struct stat st = {};
  st.st_uid = geteuid() + 1;
  st.st_mode = S_IFDIR | 0700;
  CHECK_THROWS_AS(check_private(st, "/x"), Error);
  st.st_uid = geteuid();
  CHECK_NOTHROW(check_private(st, "/x"));
}
