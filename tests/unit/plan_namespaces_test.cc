#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runtime/plan/plan.h"
#include "spec/error.h"

using namespace coracle;
using namespace coracle::plan;

namespace {

struct Bundle {
  spec::Spec spec;
  CreateRequest request;
  Host host;
  Warnings warnings;

  Bundle() {
    spec.linux.emplace();
    spec.linux->namespaces = {{"network", ""}};
    spec.root.emplace();
  }
  std::vector<unsigned char> plan(void (*part)(Draft&)) {
    Draft d{{}, spec, request, request, host, warnings};
    part(d);
    return d.b.finish();
  }
};

}  // namespace

TEST_CASE("network devices: an ordinary user is told what he lacks, and where") {
  Bundle b;
  b.spec.linux->netDevices.push_back({"eth0", {}});
  b.host.euid = 1000;
  try {
    b.plan(add_net_devices);
    FAIL("accepted");
  } catch (const spec::Error& e) {
    CHECK(e.path() == "linux.netDevices[\"eth0\"]");
    CHECK(std::string(e.what()).find("CAP_NET_ADMIN") != std::string::npos);
  }
}

TEST_CASE("network devices: the parent moves them, in the order of the configuration") {
  Bundle b;
  b.spec.linux->netDevices.push_back({"eth1", {"net%d"}});
  b.spec.linux->netDevices.push_back({"eth0", {}});
  const auto block = b.plan(add_net_devices);
  const View v(block.data());
  REQUIRE(v.header().step_count == 3);
  CHECK(v.begin()->op == Op::kMeet);  // until the init has joined their namespace
  const Step* steps = v.begin() + 1;
  CHECK(steps[0].actor == Actor::kParent);
  CHECK(v.str(steps[0].as<NetDevice>().name) == "eth1");
  CHECK(v.str(steps[0].as<NetDevice>().new_name) == "net%d");
  CHECK(v.str(steps[1].as<NetDevice>().name) == "eth0");
  CHECK(v.c_str(steps[1].as<NetDevice>().new_name) == std::string());
}
