// Rules of linux.resources.

#include <doctest/doctest.h>

#include "tests/unit/spec_samples.h"

using namespace coracle::spec;

namespace {

coracle::tests::Outcome check_resources(std::string_view json, bool partial = false) {
  coracle::tests::Outcome outcome;
  try {
    auto document = Document::parse_resources(std::string(json), "r.json");
    validate_resources(document.resources(), partial, outcome.warnings);
  } catch (const Error& error) {
    outcome.path = error.path();
    outcome.words = error.what();
  }
  return outcome;
}

}  // namespace

TEST_CASE("bad resources") {
  struct {
    std::string_view json;
    std::string_view path;  // below linux.resources
  } const rows[] = {
      {R"({"devices":[{"allow":true,"type":"p","access":"r"}]})", "devices[0].type"},
      {R"({"devices":[{"allow":true,"access":"rx"}]})", "devices[0].access"},
      {R"({"devices":[{"allow":true,"access":"r"},{"allow":false}]})", "devices[1].access"},
      {R"({"devices":[{"allow":true,"access":"r","major":-2}]})", "devices[0].major"},
      {R"({"devices":[{"allow":true,"access":"r","minor":-2}]})", "devices[0].minor"},
      {R"({"memory":{"limit":-2}})", "memory.limit"},
      {R"({"memory":{"reservation":-2}})", "memory.reservation"},
      {R"({"memory":{"swap":-2}})", "memory.swap"},
      {R"({"memory":{"swap":5}})", "memory.swap"},
      {R"({"memory":{"limit":-1,"swap":5}})", "memory.swap"},
      {R"({"memory":{"limit":6,"swap":5}})", "memory.swap"},
      {R"({"memory":{"swappiness":101}})", "memory.swappiness"},
      {R"({"memory":{"swappiness":10}})", "memory.swappiness"},
      {R"({"memory":{"disableOOMKiller":true}})", "memory.disableOOMKiller"},
      {R"({"memory":{"useHierarchy":false}})", "memory.useHierarchy"},
      {R"({"cpu":{"quota":-2}})", "cpu.quota"},
      {R"({"cpu":{"quota":999}})", "cpu.quota"},
      {R"({"cpu":{"period":999}})", "cpu.period"},
      {R"({"cpu":{"period":1000001}})", "cpu.period"},
      {R"({"cpu":{"quota":5000,"burst":5001}})", "cpu.burst"},
      {R"({"cpu":{"realtimeRuntime":1}})", "cpu.realtimeRuntime"},
      {R"({"cpu":{"realtimePeriod":1}})", "cpu.realtimePeriod"},
      {R"({"cpu":{"idle":2}})", "cpu.idle"},
      {R"({"cpu":{"idle":-1}})", "cpu.idle"},
      {R"({"cpu":{"cpus":"0-"}})", "cpu.cpus"},
      {R"({"cpu":{"mems":"x"}})", "cpu.mems"},
      {R"({"pids":{"limit":-2}})", "pids.limit"},
      {R"({"blockIO":{"weight":9}})", "blockIO.weight"},
      {R"({"blockIO":{"weight":1001}})", "blockIO.weight"},
      {R"({"blockIO":{"leafWeight":10}})", "blockIO.leafWeight"},
      {R"({"blockIO":{"weightDevice":[{"major":8,"minor":0}]}})", "blockIO.weightDevice[0]"},
      {R"({"blockIO":{"weightDevice":[{"major":-8,"minor":0,"weight":10}]}})",
       "blockIO.weightDevice[0].major"},
      {R"({"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":5}]}})",
       "blockIO.weightDevice[0].weight"},
      {R"({"blockIO":{"weightDevice":[{"major":8,"minor":0,"leafWeight":50}]}})",
       "blockIO.weightDevice[0].leafWeight"},
      {R"({"blockIO":{"throttleReadBpsDevice":[{"major":-1,"minor":0,"rate":1}]}})",
       "blockIO.throttleReadBpsDevice[0].major"},
      {R"({"blockIO":{"throttleWriteBpsDevice":[{"major":1,"minor":-1,"rate":1}]}})",
       "blockIO.throttleWriteBpsDevice[0].minor"},
      {R"({"blockIO":{"throttleReadIOPSDevice":[{"major":-1,"minor":0,"rate":1}]}})",
       "blockIO.throttleReadIOPSDevice[0].major"},
      {R"({"blockIO":{"throttleWriteIOPSDevice":[{"major":-1,"minor":0,"rate":1}]}})",
       "blockIO.throttleWriteIOPSDevice[0].major"},
      {R"({"hugepageLimits":[{"pageSize":"2mB","limit":1}]})", "hugepageLimits[0].pageSize"},
      {R"({"hugepageLimits":[{"pageSize":"02MB","limit":1}]})", "hugepageLimits[0].pageSize"},
      {R"({"hugepageLimits":[{"pageSize":"2M","limit":1}]})", "hugepageLimits[0].pageSize"},
      {R"({"hugepageLimits":[{"pageSize":"MB","limit":1}]})", "hugepageLimits[0].pageSize"},
      {R"({"hugepageLimits":[{"pageSize":"2/MB","limit":1}]})", "hugepageLimits[0].pageSize"},
      {R"({"hugepageLimits":[{"pageSize":"2MB","limit":1},{"pageSize":"2MB","limit":2}]})",
       "hugepageLimits[1].pageSize"},
      {R"({"network":{"classID":1048577}})", "network.classID"},
      {R"({"network":{"priorities":[{"name":"eth0","priority":1}]}})", "network.priorities"},
      {R"({"rdma":{"mlx5_1":{}}})", "rdma.mlx5_1"},
      {R"({"rdma":{"a b":{"hcaHandles":1}}})", R"(rdma["a b"])"},
      {R"({"unified":{"":"1"}})", R"(unified[""])"},
      {R"({"unified":{"memory":"1"}})", "unified.memory"},
      {R"({"unified":{"memory.":"1"}})", R"(unified["memory."])"},
      {R"({"unified":{".high":"1"}})", R"(unified[".high"])"},
      {R"({"unified":{"../memory.high":"1"}})", R"(unified["../memory.high"])"},
      {R"({"unified":{"a/memory.high":"1"}})", R"(unified["a/memory.high"])"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.json);
    auto outcome = check_resources(row.json);
    CAPTURE(outcome.words);
    CHECK(outcome.path == cat("linux.resources.", row.path));
  }
}

TEST_CASE("good resources") {
  for (std::string_view json : {
           R"({})",
           R"({"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":-1,
               "minor":3,"access":"m"},{"allow":true,"type":"a","access":"r"}]})",
           R"({"memory":{"limit":-1,"reservation":0,"swap":-1,"swappiness":60,
               "disableOOMKiller":false,"useHierarchy":true,"checkBeforeUpdate":true}})",
           R"({"memory":{"limit":5,"swap":5}})",
           R"({"memory":{"limit":5,"swap":0}})",
           R"({"cpu":{"shares":0,"quota":-1,"burst":9,"period":0,"cpus":"0-3,7","mems":"0",
               "idle":1,"realtimeRuntime":0,"realtimePeriod":0}})",
           R"({"cpu":{"quota":5000,"burst":5000,"period":1000000}})",
           R"({"pids":{"limit":0}})",
           R"({"pids":{"limit":-1}})",
           R"({"pids":{}})",
           R"({"blockIO":{"weight":0,"leafWeight":0,
               "weightDevice":[{"major":8,"minor":0,"weight":1000}]}})",
           R"({"hugepageLimits":[{"pageSize":"2MB","limit":0},{"pageSize":"1GB","limit":1}]})",
           R"({"network":{"classID":0,"priorities":[]}})",
           R"({"unified":{"io.max":"259:0 rbps=1\n253:0 rbps=2","hugetlb.1GB.max":"1",
               "cgroup.max.depth":"3"}})",
       }) {
    CAPTURE(json);
    auto outcome = check_resources(json);
    CHECK(outcome.words == "");
    CHECK(outcome.warnings.empty());
  }
}

TEST_CASE("limits of kernel memory are warned of") {
  auto outcome = check_resources(R"({"memory":{"kernel":-1,"kernelTCP":5}})");
  CHECK(outcome.words == "");
  CHECK(outcome.warnings.size() == 1);
}

TEST_CASE("limits of an update are compared only when they are together with the present ones") {
  CHECK(check_resources(R"({"memory":{"swap":5}})", true).words == "");
  CHECK(check_resources(R"({"cpu":{"quota":5000,"burst":5001}})", true).words == "");
  CHECK(check_resources(R"({"memory":{"swap":-5}})", true).path == "linux.resources.memory.swap");
}
