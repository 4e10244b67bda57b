#include <doctest/doctest.h>

#include "runtime/systemd/unit_name.h"
#include "spec/error.h"

using namespace coracle;
using systemd::settle_unit;
using systemd::slice_path;

TEST_CASE("slice:prefix:name") {
  const auto unit = settle_unit("machine.slice:libpod:abc", "id", false);
  CHECK(unit.unit == "libpod-abc.scope");
  CHECK(unit.slice == "machine.slice");
  CHECK(unit.path == "/machine.slice/libpod-abc.scope");
  CHECK_FALSE(unit.is_slice());
}

TEST_CASE("slices expand by their dashes") {
  CHECK(settle_unit("kubepods-burstable-podx.slice:cri-containerd:1", "id", false).path ==
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/"
        "cri-containerd-1.scope");
  CHECK(slice_path("-.slice") == "");
  CHECK(settle_unit("-.slice:a:b", "id", false).path == "/a-b.scope");
  for (const char* bad : {"", ".slice", "a", "a.scope", "-a.slice", "a-.slice", "a--b.slice",
                          "a/b.slice", "../a.slice", "a b.slice"})
    CHECK_THROWS_AS(slice_path(bad), spec::Error);
}

TEST_CASE("a name that ends in .slice is the unit") {
  const auto unit = settle_unit("system.slice:ignored:a-b.slice", "id", false);
  CHECK(unit.unit == "a-b.slice");
  CHECK(unit.path == "/a.slice/a-b.slice");
  CHECK(unit.is_slice());
  CHECK_THROWS_AS(settle_unit("system.slice::-.slice", "id", false), spec::Error);
}

TEST_CASE("defaults") {
  CHECK(settle_unit("", "box", false).path == "/system.slice/coracle-box.scope");
  CHECK(settle_unit("", "box", true).path == "/user.slice/coracle-box.scope");
  CHECK(settle_unit(":p:n", "box", true).path == "/user.slice/p-n.scope");
  CHECK(settle_unit("", "a+b", false).unit == "coracle-a\\x2bb.scope");
}

TEST_CASE("what is not of that form is refused with the words that callers know") {
  CHECK_THROWS_WITH(settle_unit("/docker/id", "id", false),
                    "linux.cgroupsPath: expected the form \"slice:prefix:name\" for systemd "
                    "cgroups, got \"/docker/id\" instead");
  for (const char* bad : {"a.slice:b", "a.slice:b:c:d", "a.slice:b:", "a.slice:b:c/d",
                          "a.slice:b:c d", "a.slice:b:c\nd"})
    CHECK_THROWS_AS(settle_unit(bad, "id", false), spec::Error);
  CHECK_THROWS_AS(settle_unit("a.slice:b:" + std::string(260, 'x'), "id", false), spec::Error);
}
