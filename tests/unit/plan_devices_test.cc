// /dev in a plan: which nodes, made by whom.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "tests/unit/plan_mounts_bench.h"

using namespace coracle;
using namespace coracle::plan;
using namespace coracle::test;

TEST_CASE("mounts: devices") {
  Bench b;
  spec::LinuxDevice null;
  null.path = "/dev/./null";
  null.type = "u";
  null.major = 1;
  null.minor = 3;
  null.fileMode = 020600;
  null.gid = 9;
  b.spec.linux->devices.push_back(null);
  View v = b.plan();
  CHECK(count(v, Op::kMakeNode) == 6);  // the configured one stands for the default
  const auto& node = nth<MakeNode>(v, 5);
  CHECK(v.str(node.path) == "/dev/null");
  CHECK(node.mode == (S_IFCHR | 0600));
  CHECK(node.gid == 9);
  CHECK(count(v, Op::kMakeSymlink) == 6);
  CHECK(nth<MakeSymlink>(v, 5).replace == 1);
  CHECK(v.str(nth<MakeSymlink>(v, 5).points_to) == "pts/ptmx");

  b.mount("bind", "/dev", "/dev", {"rbind"});
  v = b.plan();
  CHECK(count(v, Op::kMakeNode) == 0);
  CHECK(count(v, Op::kMakeSymlink) == 0);

  Bench bad;
  bad.spec.linux->devices.push_back(null);
  bad.spec.linux->devices[0].type = "x";
  CHECK(bad.error() == "linux.devices[0].type: not a type of device: \"x\"");
  bad.spec.linux->devices[0].type = "b";
  bad.spec.linux->devices[0].minor = std::nullopt;
  CHECK(bad.error() == "linux.devices[0].minor: not a device number");
}

TEST_CASE("mounts: devices of a user namespace are the parent's to make, where it can") {
  Bench b;
  b.new_userns = true;
  b.spec.linux->uidMappings = {{0, 1000, 10}, {10, 5000, 10}};
  b.spec.linux->gidMappings = {{1, 7000, 10}};
  spec::LinuxDevice device;
  device.path = "/dev/null";
  device.type = "c";
  device.major = 1;
  device.minor = 3;
  device.fileMode = 0640;
  device.uid = 12;
  device.gid = 3;
  b.spec.linux->devices.push_back(device);
  View v = b.plan();
  const auto& made = nth<HostNodes>(v);
  CHECK(made.nodes.count == 6);
  const HostNode& zero = v.list<HostNode>(made.nodes)[0];
  CHECK(zero.uid == 1000);
  CHECK(zero.gid == kNoId);  // root is no group here, and nobody asked for it
  const HostNode& null = v.list<HostNode>(made.nodes)[5];
  CHECK(null.mode == (S_IFCHR | 0640));
  CHECK(null.uid == 5002);
  CHECK(null.gid == 7002);
  CHECK(nth<CloneNodes>(v).slot == made.slot);
  CHECK(nth<MakeNode>(v, 5).tree == v.list<Slot>(nth<CloneNodes>(v).nodes)[5]);

  b.spec.linux->devices[0].uid = 20;
  CHECK(b.error() == "linux.devices[0].uid: 20 is not mapped by linux.uidMappings");
  b.spec.linux->uidMappings.clear();  // of a joined namespace
  b.warnings.clear();
  v = b.plan();
  CHECK(v.list<HostNode>(nth<HostNodes>(v).nodes)[5].uid == kNoId);
  REQUIRE(b.warnings.size() == 1);
  CHECK(b.warnings[0].starts_with("linux.devices[0].uid: ignored: "));

  b.host.initial_userns = false;
  v = b.plan();
  CHECK(count(v, Op::kHostNodes) == 0);
  CHECK(nth<MakeNode>(v, 5).tree == kNoSlot);
  CHECK(nth<MakeNode>(v, 5).asked == (kNodeMode | kNodeUid | kNodeGid));
}
