#include <doctest/doctest.h>

#include "runtime/cgroup/settle.h"
#include "spec/error.h"

using namespace coracle;
using cgroup::settle_path;

TEST_CASE("absolute paths are taken as they are") {
  CHECK(settle_path("/a/b", "id", "/own") == "/a/b");
  CHECK(settle_path("//a/./b//", "id", "/own") == "/a/b");
  CHECK(settle_path("/a:b", "id", "/../other") == "/a:b");
}

TEST_CASE("relative paths, and none, lie beside the caller's own cgroup") {
  CHECK(settle_path("", "id", "/") == "/id");
  CHECK(settle_path("", "id", "/own") == "/id");
  CHECK(settle_path("", "id", "/user.slice/session") == "/user.slice/id");
  CHECK(settle_path("a/b", "id", "/user.slice/session") == "/user.slice/a/b");
  CHECK(settle_path("a/b", "id", "/") == "/a/b");
}

TEST_CASE("paths that nobody can mean") {
  CHECK_THROWS_WITH(settle_path("/a/../b", "id", "/"),
                    "linux.cgroupsPath: \"/a/../b\" must not contain \"..\"");
  CHECK_THROWS_WITH(settle_path("../b", "id", "/x/y"),
                    "linux.cgroupsPath: \"/x/../b\" must not contain \"..\"");
  CHECK_THROWS_WITH(settle_path("/", "id", "/"),
                    "linux.cgroupsPath: must not be the root of all cgroups");
  CHECK_THROWS_WITH(settle_path("./", "id", "/"),
                    "linux.cgroupsPath: must not be the root of all cgroups");
  CHECK_THROWS_AS(settle_path("/a\nb", "id", "/"), spec::Error);
  CHECK_THROWS_AS(settle_path("/" + std::string(256, 'x'), "id", "/"), spec::Error);
  CHECK(settle_path("/" + std::string(255, 'x'), "id", "/").size() == 256);
}

TEST_CASE("outside of the own cgroup namespace only absolute paths have a meaning") {
  CHECK_THROWS_AS(settle_path("a", "id", "/../other"), spec::Error);
  CHECK_THROWS_AS(settle_path("", "id", ""), spec::Error);
}

TEST_CASE("the cgroup v2 entry of /proc/PID/cgroup") {
  CHECK(cgroup::unified_path("0::/a/b\n") == "/a/b");
  CHECK(cgroup::unified_path("9:name=systemd:/x\n1:cpu:/y\n0::/\n") == "/");
  CHECK(cgroup::unified_path("10::/z\n") == "");
  CHECK(cgroup::unified_path("") == "");
}

TEST_CASE("sub-cgroups of exec") {
  CHECK(cgroup::settle_sub_path("/") == "");
  CHECK(cgroup::settle_sub_path("") == "");
  CHECK(cgroup::settle_sub_path("/a//b/") == "a/b");
  CHECK_THROWS_WITH(cgroup::settle_sub_path(".."), "bad sub cgroup path: ..");
  CHECK_THROWS_WITH(cgroup::settle_sub_path("a/../../b"), "bad sub cgroup path: a/../../b");
}
