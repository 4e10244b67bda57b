// linux.resources -> files of cgroup v2, and the cgroup's steps of a plan.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runtime/plan/limits.h"
#include "runtime/plan/plan.h"
#include "spec/error.h"

using namespace coracle;
using plan::LimitWrite;
using Names = std::vector<std::string>;

namespace {

const Names kEvery = {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"};

std::string show(const LimitWrite& write) {
  std::string flags;
  if (write.flags & plan::kCgroupIgnoreMissing) flags += " ?";
  if (write.flags & plan::kCgroupPerLine) flags += " lines";
  if (write.flags & plan::kCgroupFirstFile) flags += " first";
  if (write.flags & plan::kCgroupIgnoreInvalid) flags += " again";
  return write.file + "=" + write.value + flags;
}

Names writes(const spec::LinuxResources& r, const Names& available = kEvery) {
  plan::Warnings warnings;
  Names out;
  for (const LimitWrite& write : plan::limit_writes(r, available, warnings)) {
    out.push_back(show(write));
  }
  return out;
}

std::string error_of(const spec::LinuxResources& r, const Names& available = kEvery) {
  try {
    writes(r, available);
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
}

spec::LinuxResources memory(std::optional<int64_t> limit, std::optional<int64_t> swap = {}) {
  spec::LinuxResources r;
  r.memory.emplace();
  r.memory->limit = limit;
  r.memory->swap = swap;
  return r;
}

spec::LinuxResources cpu() {
  spec::LinuxResources r;
  r.cpu.emplace();
  return r;
}

}  // namespace

TEST_CASE("nothing asked, nothing written; explicit zeros as Docker sends them") {
  CHECK(writes({}) == Names{});
  spec::LinuxResources r = memory(0, 0);
  r.memory->reservation = 0;
  r.memory->swappiness = 60;
  r.memory->disableOOMKiller = false;
  r.memory->kernel = 0;
  r.cpu.emplace();
  r.cpu->shares = 0;
  r.cpu->quota = 0;
  r.cpu->period = 0;
  r.cpu->realtimePeriod = 0;
  r.cpu->realtimeRuntime = 0;
  r.blockIO.emplace();
  r.blockIO->weight = 0;
  r.blockIO->leafWeight = 0;
  r.pids.emplace();
  r.network.emplace();
  r.network->classID = 0;
  CHECK(writes(r, {}) == Names{});
}

TEST_CASE("pids: 0 is the limit 1, -1 is none") {
  spec::LinuxResources r;
  r.pids.emplace();
  r.pids->limit = 0;
  CHECK(writes(r) == Names{"pids.max=1"});
  r.pids->limit = 100;
  CHECK(writes(r) == Names{"pids.max=100"});
  r.pids->limit = -1;
  CHECK(writes(r) == Names{"pids.max=max ?"});
  CHECK(writes(r, {}) == Names{});
}

TEST_CASE("memory and swap") {
  CHECK(writes(memory(1000)) == Names{"memory.max=1000"});
  CHECK(writes(memory(1000, 3000)) == Names{"memory.swap.max=2000", "memory.max=1000"});
  CHECK(writes(memory(1000, 1000)) == Names{"memory.swap.max=0 ?", "memory.max=1000"});
  CHECK(writes(memory(1000, -1)) == Names{"memory.swap.max=max ?", "memory.max=1000"});
  CHECK(writes(memory(-1)) == Names{"memory.swap.max=max ?", "memory.max=max ?"});
  CHECK(writes(memory(-1, 500)) == Names{"memory.swap.max=500", "memory.max=max ?"});
  CHECK(writes(memory({}, -1)) == Names{"memory.swap.max=max ?"});
  CHECK(writes(memory(1000, 0)) == Names{"memory.swap.max=0 ?", "memory.max=1000"});
  CHECK(writes(memory({}, 0)) == Names{"memory.swap.max=0 ?"});
  CHECK(writes(memory(-1, 0)) == Names{"memory.swap.max=0 ?", "memory.max=max ?"});
  CHECK(error_of(memory({}, 500)) ==
        "linux.resources.memory.swap: unable to set swap limit without memory limit");
  CHECK(error_of(memory(1000, 999)) ==
        "linux.resources.memory.swap: memory+swap limit 999 is below the memory limit 1000");
  CHECK(error_of(memory(-2)) ==
        "linux.resources.memory.limit: -2 is no size; -1 stands for unlimited");
  spec::LinuxResources r = memory(4096);
  r.memory->reservation = 2048;
  CHECK(writes(r) == Names{"memory.max=4096", "memory.low=2048"});
}

TEST_CASE("memory settings that cgroup v2 does not have") {
  spec::LinuxResources r = memory(4096);
  r.memory->kernel = 100;
  plan::Warnings warnings;
  CHECK(plan::limit_writes(r, kEvery, warnings).size() == 1);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("kernel memory limits") != std::string::npos);
  r.memory->kernel = -1;
  warnings.clear();
  plan::limit_writes(r, kEvery, warnings);
  CHECK(warnings.empty());

  r.memory->swappiness = 10;
  CHECK(error_of(r) == "linux.resources.memory.swappiness: cgroup v2 has no swappiness");
  r.memory->swappiness.reset();
  r.memory->disableOOMKiller = true;
  CHECK(error_of(r).find("linux.resources.memory.disableOOMKiller: ") == 0);
}

TEST_CASE("a missing controller is an error that names controller and file") {
  CHECK(error_of(memory(1000), {"cpu"}) ==
        "linux.resources.memory.limit: cannot set memory.max: this host has no cgroup v2 "
        "controller \"memory\"");
  spec::LinuxResources r;
  r.blockIO.emplace();
  r.blockIO->weight = 500;
  CHECK(error_of(r, {}) ==
        "linux.resources.blockIO.weight: cannot set io.weight: this host has no cgroup v2 "
        "controller \"io\"");
}

TEST_CASE("cpu.shares as cpu.weight") {
  CHECK(plan::weight_of_shares(2) == 1);
  CHECK(plan::weight_of_shares(100) == 17);
  CHECK(plan::weight_of_shares(1024) == 100);
  CHECK(plan::weight_of_shares(3333) == 256);
  CHECK(plan::weight_of_shares(262144) == 10000);
  CHECK(plan::weight_of_shares(1) == 1);
  CHECK(plan::weight_of_shares(999999999) == 10000);
  uint64_t before = 0;
  for (uint64_t shares = 2; shares <= 262144; ++shares) {
    const uint64_t weight = plan::weight_of_shares(shares);
    if (weight < before || weight < 1 || weight > 10000) FAIL("shares ", shares);
    before = weight;
  }
}

TEST_CASE("cpu") {
  spec::LinuxResources r = cpu();
  r.cpu->shares = 100;
  CHECK(writes(r) == Names{"cpu.weight=17"});
  r.cpu->idle = 1;
  CHECK(writes(r) == Names{"cpu.idle=1"});
  r.cpu->idle = 0;
  CHECK(writes(r) == Names{"cpu.idle=0 ?", "cpu.weight=17"});

  r = cpu();
  r.cpu->quota = 50000;
  CHECK(writes(r) == Names{"cpu.max=50000 100000"});
  r.cpu->period = 20000;
  CHECK(writes(r) == Names{"cpu.max=50000 20000"});
  r.cpu->quota = -1;
  CHECK(writes(r) == Names{"cpu.max=max 20000 ?"});
  r.cpu->quota.reset();
  CHECK(writes(r) == Names{"cpu.max=max 20000 ?"});

  r = cpu();
  r.cpu->cpus = "0-1";
  r.cpu->mems = "0";
  CHECK(writes(r) == Names{"cpuset.cpus=0-1", "cpuset.mems=0"});
  r.cpu->realtimeRuntime = 1;
  CHECK(error_of(r) == "linux.resources.cpu.realtimeRuntime: cgroup v2 has no realtime limits");
}

TEST_CASE("cpu.burst goes before and after the quota") {
  spec::LinuxResources r = cpu();
  r.cpu->burst = 300;
  CHECK(writes(r) == Names{"cpu.max.burst=300"});
  r.cpu->quota = 1000;
  CHECK(writes(r) == Names{"cpu.max.burst=300 again", "cpu.max=1000 100000", "cpu.max.burst=300"});
  r.cpu->burst = 0;
  CHECK(writes(r) == Names{"cpu.max.burst=0 ? again", "cpu.max=1000 100000", "cpu.max.burst=0 ?"});
  r.cpu->burst = 1001;
  CHECK(error_of(r) == "linux.resources.cpu.burst: burst 1001 exceeds the quota 1000");
}

TEST_CASE("block io") {
  spec::LinuxResources r;
  r.blockIO.emplace();
  r.blockIO->weight = 750;
  CHECK(writes(r) == Names{"io.bfq.weight\nio.weight=750\n7475 first"});
  r.blockIO->weight = 9;
  CHECK(error_of(r) == "linux.resources.blockIO.weight: weight 9 is out of range 10 to 1000");
  r.blockIO->weight.reset();
  r.blockIO->weightDevice.push_back({8, 16, 1000, {}});
  r.blockIO->throttleReadBpsDevice.push_back({8, 0, 1048576});
  r.blockIO->throttleWriteBpsDevice.push_back({8, 0, 0});
  r.blockIO->throttleReadIOPSDevice.push_back({8, 0, 10});
  r.blockIO->throttleWriteIOPSDevice.push_back({8, 0, 20});
  CHECK(writes(r) == Names{"io.bfq.weight\nio.weight=8:16 1000\n8:16 10000 first",
                           "io.max=8:0 rbps=1048576", "io.max=8:0 wbps=max ?",
                           "io.max=8:0 riops=10", "io.max=8:0 wiops=20"});
  r.blockIO->weightDevice[0].leafWeight = 10;
  CHECK(error_of(r) ==
        "linux.resources.blockIO.weightDevice[0].leafWeight: cgroup v2 has no leaf weights");
  CHECK(plan::io_weight(10) == 1);
}

TEST_CASE("hugepages, rdma, network") {
  spec::LinuxResources r;
  r.hugepageLimits.push_back({"2MB", 0});
  CHECK(writes(r) == Names{"hugetlb.2MB.max=0", "hugetlb.2MB.rsvd.max=0 ?"});
  r.hugepageLimits[0].pageSize = "../2MB";
  CHECK(error_of(r) ==
        "linux.resources.hugepageLimits[0].pageSize: \"../2MB\" is no page size like 2MB");
  r = {};
  r.rdma = {{"mlx5_0", {3, 10}}, {"mlx5_1", {{}, 5}}};
  CHECK(writes(r) ==
        Names{"rdma.max=mlx5_0 hca_handle=3 hca_object=10", "rdma.max=mlx5_1 hca_object=5"});
  r.rdma = {{"x", {}}};
  CHECK(error_of(r) == "linux.resources.rdma[\"x\"]: needs hcaHandles or hcaObjects");
  r = {};
  r.network.emplace();
  r.network->priorities.push_back({"eth0", 1});
  CHECK(error_of(r).find("linux.resources.network.priorities: ") == 0);
}

TEST_CASE("unified comes last and is written line by line") {
  spec::LinuxResources r = memory(1000);
  r.unified = {{"memory.high", "900"}, {"io.max", "8:0 rbps=1\n8:16 rbps=2"}};
  CHECK(writes(r) ==
        Names{"memory.max=1000", "memory.high=900 lines", "io.max=8:0 rbps=1\n8:16 rbps=2 lines"});
  CHECK(error_of(r, {"memory"}) ==
        "linux.resources.unified[\"io.max\"]: unified resource \"io.max\" can't be set: "
        "controller \"io\" not available");
  for (const char* key :
       {"memory/max", "memory", ".max", "memory.", "cgroup.procs", "cgroup.threads", "cgroup.kill",
        "cgroup.freeze", "memory.pressure", "memory.reclaim", "memory.events.local"}) {
    spec::LinuxResources bad;
    bad.unified = {{key, "1"}};
    INFO(key);
    CHECK(error_of(bad).find("linux.resources.unified[") == 0);
  }
  spec::LinuxResources core;
  core.unified = {{"cgroup.max.depth", "3"}, {"cgroup.max.descendants", "9"}};
  CHECK(writes(core, {}).size() == 2);
}

TEST_CASE("only writes that can fail for want of a controller need one") {
  spec::LinuxResources r = memory(-1);
  r.cpu.emplace();
  r.cpu->shares = 100;
  r.cpu->cpus = "0";
  r.blockIO.emplace();
  r.blockIO->weight = 500;
  r.unified = {{"cpu.max", "max"}, {"cgroup.max.depth", "3"}};
  plan::Warnings warnings;
  const auto all = plan::limit_writes(r, kEvery, warnings);
  const std::vector<std::string_view> expected = {"io", "cpu", "cpuset"};
  CHECK(plan::needed_controllers(all) == expected);
}

// ---- the steps -------------------------------------------------------------------------------

namespace {

struct Planned {
  std::vector<unsigned char> block;
  std::vector<const plan::Step*> steps;
  plan::View view() const { return plan::View(block.data()); }
};

Planned planned(const spec::Spec& spec, plan::CreateRequest request, plan::Host host) {
  plan::Warnings warnings;
  plan::Draft draft{{}, spec, request, request, host, warnings};
  plan::add_cgroup(draft);
  draft.b.parent("", plan::Clone{});
  plan::add_late_limits(draft);
  Planned out{draft.b.finish(), {}};
  for (const plan::Step& step : out.view()) out.steps.push_back(&step);
  if (out.steps.back()->op == plan::Op::kClone) out.steps.pop_back();
  return out;
}

// What is written to pids.max, and whether the init is born by then.
Names pids_writes(const spec::Spec& spec, const plan::CreateRequest& request,
                  const plan::Host& host) {
  const Planned p = planned(spec, request, host);
  Names out;
  bool late = false;
  for (const plan::Step* step : p.steps) {
    if (step->op == plan::Op::kClone) late = true;
    if (step->op != plan::Op::kCgroupWrite) continue;
    const auto value = std::string(p.view().str(step->as<plan::CgroupWrite>().value));
    out.push_back(late ? "late " + value : value);
  }
  return out;
}

spec::Spec minimal() {
  spec::Spec spec;
  spec.linux.emplace();
  spec.process.emplace();
  return spec;
}

plan::CreateRequest request() {
  plan::CreateRequest r;
  r.cgroup_path = "/a/b";
  return r;
}

}  // namespace

TEST_CASE("a container without limits: make, devices") {
  const Planned p = planned(minimal(), request(), {});
  REQUIRE(p.steps.size() == 2);
  CHECK(p.steps[0]->op == plan::Op::kCgroupMake);
  CHECK(p.steps[0]->on_error == plan::OnError::kFail);
  const auto& make = p.steps[0]->as<plan::CgroupMake>();
  CHECK(p.view().str(make.path) == "/a/b");
  CHECK(make.controllers.count == 0);
  CHECK(p.steps[1]->op == plan::Op::kCgroupDevices);
  CHECK(p.steps[1]->as<plan::CgroupDevices>().instructions.count > 10);
}

TEST_CASE("limits come between, each with its origin") {
  spec::Spec spec = minimal();
  spec.linux->resources = memory(1000);
  plan::Host host;
  host.controllers = kEvery;
  const Planned p = planned(spec, request(), host);
  REQUIRE(p.steps.size() == 3);
  const plan::List names = p.steps[0]->as<plan::CgroupMake>().controllers;
  REQUIRE(names.count == 1);
  CHECK(p.view().str(p.view().list<plan::Ref>(names)[0]) == "memory");
  const auto& write = p.steps[1]->as<plan::CgroupWrite>();
  CHECK(p.view().str(p.steps[1]->origin) == "linux.resources.memory.limit");
  CHECK(p.view().str(write.file) == "memory.max");
  CHECK(p.view().str(write.value) == "1000");
}

TEST_CASE("a limit of no tasks, or with systemd of one, comes after the clone") {
  spec::Spec spec = minimal();
  spec.linux->resources.emplace().unified.emplace_back("pids.max", "0");
  plan::Host host;
  host.controllers = kEvery;
  CHECK(pids_writes(spec, request(), host) == Names{"late 0"});
  plan::CreateRequest with_systemd = request();
  with_systemd.unit = "a.scope";
  // systemd has set 1, and its placeholder is there.
  CHECK(pids_writes(spec, with_systemd, host) == Names{"2", "late 0"});
  spec.linux->resources.emplace().pids.emplace().limit = 1;
  CHECK(pids_writes(spec, request(), host) == Names{"1"});
  CHECK(pids_writes(spec, with_systemd, host) == Names{"2", "late 1"});
  spec.linux->resources->pids->limit = 2;
  CHECK(pids_writes(spec, with_systemd, host) == Names{"2"});
}

// Podman's --pids-limit 0 and containers.conf's pids_limit = 0 come as this.
TEST_CASE("a pids limit of 0 is none in a configuration older than 1.3") {
  spec::Spec spec = minimal();
  spec.linux->resources.emplace().pids.emplace().limit = 0;
  plan::Host host;
  host.controllers = kEvery;
  spec.ociVersion = "1.0.2-dev";
  CHECK(pids_writes(spec, request(), host) == Names{});
  // systemd must be told, or there is its DefaultTasksMax=.
  plan::CreateRequest with_systemd = request();
  with_systemd.unit = "a.scope";
  CHECK(pids_writes(spec, with_systemd, host) == Names{"max"});
  spec.ociVersion = "1.3.0";
  CHECK(pids_writes(spec, request(), host) == Names{"1"});
}

TEST_CASE("no cgroup: no steps, but a limit cannot be ignored") {
  plan::CreateRequest off;
  plan::Host host;
  host.controllers = kEvery;
  CHECK(planned(minimal(), off, host).steps.empty());
  spec::Spec spec = minimal();
  spec.linux->resources = memory(1000);
  CHECK_THROWS_WITH(planned(spec, off, host),
                    "linux.resources.memory.limit: cannot be set: cgroups are disabled");
}

TEST_CASE("an ordinary user: no device program, and no cgroup where none can be had") {
  plan::Host host;
  host.initial_userns = false;
  plan::CreateRequest r = request();
  r.rootless_cgroup_errors_ignored = true;
  Planned p = planned(minimal(), r, host);
  REQUIRE(p.steps.size() == 1);
  CHECK(p.steps[0]->on_error == plan::OnError::kWarn);

  spec::Spec spec = minimal();
  spec.linux->cgroupsPath = "/a/b";
  CHECK(planned(spec, r, host).steps[0]->on_error == plan::OnError::kFail);
  spec = minimal();
  spec.linux->resources = memory(1000);
  host.controllers = kEvery;
  CHECK(planned(spec, r, host).steps[0]->on_error == plan::OnError::kFail);
}

TEST_CASE("the cgroup is handed over only with an own namespace and a writable mount") {
  spec::Spec spec = minimal();
  spec.process->user.uid = 5;
  spec.linux->uidMappings = {{0, 100000, 1000}};
  spec.linux->namespaces = {{"user", ""}, {"cgroup", ""}};
  spec::Mount mount;
  mount.destination = "/sys/fs/cgroup/";
  mount.type = "cgroup";
  mount.options = {"nosuid", "ro", "rw"};
  spec.mounts = {mount};
  auto delegated = [&]() {
    const Planned p = planned(spec, request(), {});
    if (p.steps.back()->op != plan::Op::kCgroupDelegate) return uint32_t{0};
    CHECK(p.steps.back()->as<plan::CgroupDelegate>().gid == UINT32_MAX);
    return p.steps.back()->as<plan::CgroupDelegate>().uid;
  };
  CHECK(delegated() == 100005);
  spec.mounts[0].options = {"ro"};
  CHECK(delegated() == 0);
  spec.mounts[0].options = {};
  CHECK(delegated() == 100005);
  spec.linux->namespaces[1].path = "/proc/1/ns/cgroup";
  CHECK(delegated() == 0);
  spec.linux->namespaces[1].path = "";
  spec.process->user.uid = 1000;  // not mapped
  CHECK(delegated() == 0);
}
