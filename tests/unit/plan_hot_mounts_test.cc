#include <doctest/doctest.h>
#include <linux/sched.h>

#include "runtime/plan/hot_mounts.h"
#include "spec/error.h"

using namespace coracle;

TEST_CASE("mounts: of a running container whose kept configuration was damaged") {
  spec::Spec spec;
  spec.mounts.emplace_back().destination = "/m";
  spec.mounts.back().type = "tmpfs";
  plan::HotRequest request;
  request.id = "id";
  request.bundle = "/b";
  request.namespaces = CLONE_NEWNS;
  plan::Warnings warnings;
  CHECK_THROWS_AS(plan::make_hot_mounts(spec, request, {}, warnings), spec::Error);
  CHECK_THROWS_AS(plan::make_hot_removal(spec, request, {}, warnings), spec::Error);
  spec.linux.emplace();
  CHECK(!plan::make_hot_mounts(spec, request, {}, warnings).empty());
}
