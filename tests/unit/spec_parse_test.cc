// Every property of the specification reaches its member; the schema's own samples.

#include <doctest/doctest.h>

#include "spec/json.h"
#include "tests/unit/spec_samples.h"

using namespace coracle::spec;
using coracle::tests::check;

static constexpr const char* kProcess = R"({"ociVersion":"1.3.0","process":{
  "terminal":true,"consoleSize":{"height":25,"width":80},
  "user":{"uid":1,"gid":2,"umask":63,"additionalGids":[5,6],"username":"u"},
  "args":["sh","-c"],"commandLine":"c","env":["A=b"],"cwd":"/root",
  "capabilities":{"bounding":["CAP_A"],"effective":["CAP_B"],"inheritable":["CAP_C"],
                  "permitted":["CAP_D"],"ambient":["CAP_E"]},
  "rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1024}],
  "noNewPrivileges":true,"apparmorProfile":"prof","oomScoreAdj":-5,
  "scheduler":{"policy":"SCHED_DEADLINE","nice":-3,"priority":4,"flags":["F"],
               "runtime":5,"deadline":6,"period":7},
  "selinuxLabel":"label","ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":4},
  "execCPUAffinity":{"initial":"7","final":"0-3,7"}}})";

TEST_CASE("all of process is read") {
  auto document = Document::parse_config(kProcess, "c");
  const Process& p = document.process();
  CHECK(p.terminal);
  CHECK(p.consoleSize->height == 25);
  CHECK(p.consoleSize->width == 80);
  CHECK(p.user.uid == 1);
  CHECK(p.user.gid == 2);
  CHECK(p.user.umask == 63u);
  CHECK(p.user.additionalGids == std::vector<uint32_t>{5, 6});
  CHECK(p.user.username == "u");
  CHECK(p.args == Strings{"sh", "-c"});
  CHECK(p.commandLine == "c");
  CHECK(p.env == Strings{"A=b"});
  CHECK(p.cwd == "/root");
  CHECK(p.capabilities->bounding == Strings{"CAP_A"});
  CHECK(p.capabilities->effective == Strings{"CAP_B"});
  CHECK(p.capabilities->inheritable == Strings{"CAP_C"});
  CHECK(p.capabilities->permitted == Strings{"CAP_D"});
  CHECK(p.capabilities->ambient == Strings{"CAP_E"});
  REQUIRE(p.rlimits.size() == 1);
  CHECK(p.rlimits[0].type == "RLIMIT_NOFILE");
  CHECK(p.rlimits[0].hard == UINT64_MAX);
  CHECK(p.rlimits[0].soft == 1024);
  CHECK(p.noNewPrivileges);
  CHECK(p.apparmorProfile == "prof");
  CHECK(p.oomScoreAdj == -5);
  CHECK(p.scheduler->policy == "SCHED_DEADLINE");
  CHECK(p.scheduler->nice == -3);
  CHECK(p.scheduler->priority == 4);
  CHECK(p.scheduler->flags == Strings{"F"});
  CHECK(p.scheduler->runtime == 5);
  CHECK(p.scheduler->deadline == 6);
  CHECK(p.scheduler->period == 7);
  CHECK(p.selinuxLabel == "label");
  CHECK(p.ioPriority->class_ == "IOPRIO_CLASS_IDLE");
  CHECK(p.ioPriority->priority == 4);
  CHECK(p.execCPUAffinity->initial == "7");
  CHECK(p.execCPUAffinity->final == "0-3,7");
}

static constexpr const char* kTop = R"({"ociVersion":"1.3.0",
  "root":{"path":"rootfs","readonly":true},"hostname":"h","domainname":"d",
  "mounts":[{"destination":"/a","type":"t","source":"s","options":["o"],
    "uidMappings":[{"containerID":1,"hostID":2,"size":3}],
    "gidMappings":[{"containerID":4,"hostID":5,"size":6}]}],
  "hooks":{"prestart":[{"path":"/1","args":["x"],"env":["A=1"],"timeout":9}],
    "createRuntime":[{"path":"/2"}],"createContainer":[{"path":"/3"}],
    "startContainer":[{"path":"/4"}],"poststart":[{"path":"/5"}],"poststop":[{"path":"/6"}]},
  "annotations":{"k":"v","e":""},
  "vm":{"hypervisor":{"path":"/h","parameters":["p"]},
    "kernel":{"path":"/k","parameters":["q"],"initrd":"/i"},
    "image":{"path":"/im","format":"raw"},
    "hwConfig":{"deviceTree":"/dt","vcpus":2,"memory":4194304,"dtdevs":["n"],
      "iomems":[{"firstGFN":1,"firstMFN":2,"nrMFNs":3},{"firstMFN":4,"nrMFNs":5}],
      "irqs":[11,22]}}})";

TEST_CASE("all of the top level is read") {
  auto document = Document::parse_config(kTop, "c");
  const Spec& s = document.spec;
  CHECK(s.ociVersion == "1.3.0");
  CHECK(!s.process);
  CHECK(s.root->path == "rootfs");
  CHECK(s.root->readonly);
  CHECK(s.hostname == "h");
  CHECK(s.domainname == "d");
  REQUIRE(s.mounts.size() == 1);
  CHECK(s.mounts[0].destination == "/a");
  CHECK(s.mounts[0].type == "t");
  CHECK(s.mounts[0].source == "s");
  CHECK(s.mounts[0].options == Strings{"o"});
  CHECK(s.mounts[0].uidMappings[0].hostID == 2);
  CHECK(s.mounts[0].gidMappings[0].size == 6);
  CHECK(s.hooks->prestart[0].args == Strings{"x"});
  CHECK(s.hooks->prestart[0].env == Strings{"A=1"});
  CHECK(s.hooks->prestart[0].timeout == 9);
  CHECK(s.hooks->createRuntime[0].path == "/2");
  CHECK(s.hooks->createContainer[0].path == "/3");
  CHECK(s.hooks->startContainer[0].path == "/4");
  CHECK(s.hooks->poststart[0].path == "/5");
  CHECK(s.hooks->poststop[0].path == "/6");
  CHECK(find(s.annotations, "k") == "v");
  CHECK(find(s.annotations, "none") == "");
  CHECK(s.annotations[1].first == "e");
  CHECK(s.vm->hypervisor->parameters == Strings{"p"});
  CHECK(s.vm->kernel.initrd == "/i");
  CHECK(s.vm->image->format == "raw");
  CHECK(s.vm->hwConfig->deviceTree == "/dt");
  CHECK(s.vm->hwConfig->vcpus == 2u);
  CHECK(s.vm->hwConfig->memory == 4194304u);
  CHECK(s.vm->hwConfig->iomems[0].firstGFN == 1u);
  CHECK(!s.vm->hwConfig->iomems[1].firstGFN);
  CHECK(s.vm->hwConfig->iomems[1].nrMFNs == 5);
  CHECK(s.vm->hwConfig->irqs == std::vector<uint32_t>{11, 22});
}

static constexpr const char* kLinux = R"({"ociVersion":"1.3.0","linux":{
  "uidMappings":[{"containerID":0,"hostID":1000,"size":10}],
  "gidMappings":[{"containerID":0,"hostID":2000,"size":20}],
  "sysctl":{"net.a":"1"},"cgroupsPath":"/c","namespaces":[{"type":"pid","path":"/p"}],
  "devices":[{"path":"/dev/f","type":"c","major":10,"minor":229,"fileMode":438,"uid":1,"gid":2},
             {"path":"/dev/p","type":"p"}],
  "netDevices":{"eth0":{"name":"c0"},"eth1":{}},
  "seccomp":{"defaultAction":"A","defaultErrnoRet":1,"architectures":["X"],"flags":[],
    "listenerPath":"/l","listenerMetadata":"m",
    "syscalls":[{"names":["n"],"action":"B","errnoRet":2,
      "args":[{"index":5,"value":18446744073709551615,"valueTwo":7,"op":"O"}]}]},
  "rootfsPropagation":"slave","maskedPaths":["/m"],"readonlyPaths":["/r"],"mountLabel":"ml",
  "intelRdt":{"closID":"g","schemata":["L2:0=f"],"l3CacheSchema":"L3:","memBwSchema":"MB:",
    "enableMonitoring":true},
  "memoryPolicy":{"mode":"M","nodes":"0-1","flags":["F"]},
  "personality":{"domain":"LINUX32","flags":["f"]},
  "timeOffsets":{"monotonic":{"secs":-172800,"nanosecs":9},"boottime":{"secs":1}}}})";

TEST_CASE("all of linux but its resources is read") {
  auto document = Document::parse_config(kLinux, "c");
  const Linux& l = *document.spec.linux;
  CHECK(l.uidMappings[0].hostID == 1000);
  CHECK(l.gidMappings[0].size == 20);
  CHECK(find(l.sysctl, "net.a") == "1");
  CHECK(!l.resources);
  CHECK(l.cgroupsPath == "/c");
  CHECK(find_namespace(document.spec, "pid")->path == "/p");
  CHECK(!find_namespace(document.spec, "user"));
  REQUIRE(l.devices.size() == 2);
  CHECK(l.devices[0].minor == 229);
  CHECK(l.devices[0].fileMode == 438u);
  CHECK(l.devices[0].gid == 2u);
  CHECK(!l.devices[1].major);
  CHECK(l.netDevices[0].first == "eth0");
  CHECK(l.netDevices[0].second.name == "c0");
  CHECK(l.netDevices[1].second.name == "");
  CHECK(l.seccomp->defaultAction == "A");
  CHECK(l.seccomp->defaultErrnoRet == 1u);
  CHECK(l.seccomp->architectures == Strings{"X"});
  REQUIRE(l.seccomp->flags);
  CHECK(l.seccomp->flags->empty());
  CHECK(l.seccomp->listenerPath == "/l");
  CHECK(l.seccomp->listenerMetadata == "m");
  const LinuxSyscall& rule = l.seccomp->syscalls.at(0);
  CHECK(rule.names == Strings{"n"});
  CHECK(rule.action == "B");
  CHECK(rule.errnoRet == 2u);
  CHECK(rule.args.at(0).index == 5);
  CHECK(rule.args[0].value == UINT64_MAX);
  CHECK(rule.args[0].valueTwo == 7);
  CHECK(rule.args[0].op == "O");
  CHECK(l.rootfsPropagation == "slave");
  CHECK(l.maskedPaths == Strings{"/m"});
  CHECK(l.readonlyPaths == Strings{"/r"});
  CHECK(l.mountLabel == "ml");
  CHECK(l.intelRdt->closID == "g");
  CHECK(l.intelRdt->schemata == Strings{"L2:0=f"});
  CHECK(l.intelRdt->l3CacheSchema == "L3:");
  CHECK(l.intelRdt->memBwSchema == "MB:");
  CHECK(l.intelRdt->enableMonitoring);
  CHECK(l.memoryPolicy->mode == "M");
  CHECK(l.memoryPolicy->nodes == "0-1");
  CHECK(l.memoryPolicy->flags == Strings{"F"});
  CHECK(l.personality->domain == "LINUX32");
  CHECK(l.personality->flags == Strings{"f"});
  CHECK(l.timeOffsets[0].first == "monotonic");
  CHECK(l.timeOffsets[0].second.secs == -172800);
  CHECK(l.timeOffsets[0].second.nanosecs == 9);
  CHECK(l.timeOffsets[1].second.secs == 1);
}

static constexpr const char* kResources = R"({
  "devices":[{"allow":true,"type":"c","major":1,"minor":-1,"access":"rw"},{"allow":false}],
  "memory":{"limit":1,"reservation":2,"swap":-1,"kernel":4,"kernelTCP":5,"swappiness":6,
    "disableOOMKiller":true,"useHierarchy":false,"checkBeforeUpdate":true},
  "cpu":{"shares":1,"quota":-1,"burst":3,"period":4,"realtimeRuntime":5,"realtimePeriod":6,
    "cpus":"0-1","mems":"2","idle":1},
  "pids":{"limit":0},
  "blockIO":{"weight":10,"leafWeight":11,
    "weightDevice":[{"major":8,"minor":0,"weight":500,"leafWeight":300}],
    "throttleReadBpsDevice":[{"major":1,"minor":2,"rate":3}],
    "throttleWriteBpsDevice":[{"major":4,"minor":5,"rate":6}],
    "throttleReadIOPSDevice":[{"major":7,"minor":8,"rate":9}],
    "throttleWriteIOPSDevice":[{"major":10,"minor":11,"rate":12}]},
  "hugepageLimits":[{"pageSize":"2MB","limit":13}],
  "network":{"classID":14,"priorities":[{"name":"eth0","priority":15}]},
  "rdma":{"mlx5_1":{"hcaHandles":16,"hcaObjects":17}},
  "unified":{"memory.high":"18"}})";

TEST_CASE("all of the resources are read") {
  auto document = Document::parse_resources(kResources, "r");
  const LinuxResources& r = document.resources();
  CHECK(r.devices.at(0).allow);
  CHECK(r.devices[0].type == "c");
  CHECK(r.devices[0].major == 1);
  CHECK(r.devices[0].minor == -1);
  CHECK(r.devices[0].access == "rw");
  CHECK(!r.devices.at(1).major);
  CHECK(r.memory->limit == 1);
  CHECK(r.memory->reservation == 2);
  CHECK(r.memory->swap == -1);
  CHECK(r.memory->kernel == 4);
  CHECK(r.memory->kernelTCP == 5);
  CHECK(r.memory->swappiness == 6u);
  CHECK(r.memory->disableOOMKiller == true);
  CHECK(r.memory->useHierarchy == false);
  CHECK(r.memory->checkBeforeUpdate == true);
  CHECK(r.cpu->shares == 1u);
  CHECK(r.cpu->quota == -1);
  CHECK(r.cpu->burst == 3u);
  CHECK(r.cpu->period == 4u);
  CHECK(r.cpu->realtimeRuntime == 5);
  CHECK(r.cpu->realtimePeriod == 6u);
  CHECK(r.cpu->cpus == "0-1");
  CHECK(r.cpu->mems == "2");
  CHECK(r.cpu->idle == 1);
  CHECK(r.pids->limit == 0);
  CHECK(r.blockIO->weight == 10);
  CHECK(r.blockIO->leafWeight == 11);
  CHECK(r.blockIO->weightDevice.at(0).weight == 500);
  CHECK(r.blockIO->weightDevice[0].leafWeight == 300);
  CHECK(r.blockIO->throttleReadBpsDevice.at(0).rate == 3);
  CHECK(r.blockIO->throttleWriteBpsDevice.at(0).rate == 6);
  CHECK(r.blockIO->throttleReadIOPSDevice.at(0).rate == 9);
  CHECK(r.blockIO->throttleWriteIOPSDevice.at(0).minor == 11);
  CHECK(r.hugepageLimits.at(0).pageSize == "2MB");
  CHECK(r.hugepageLimits[0].limit == 13);
  CHECK(r.network->classID == 14u);
  CHECK(r.network->priorities.at(0).priority == 15);
  CHECK(r.rdma.at(0).first == "mlx5_1");
  CHECK(r.rdma[0].second.hcaHandles == 16u);
  CHECK(r.rdma[0].second.hcaObjects == 17u);
  CHECK(find(r.unified, "memory.high") == "18");
}

TEST_CASE("absence") {
  auto document = Document::parse_config(R"({"ociVersion":"1.0.0","process":{"cwd":"/"},
    "linux":{"resources":{"memory":{},"pids":{}},"seccomp":{"defaultAction":"A"}}})",
                                         "c");
  const Process& p = document.process();
  CHECK(p.apparmorProfile.data() != nullptr);
  CHECK(*p.apparmorProfile.data() == '\0');
  CHECK(!p.oomScoreAdj);
  CHECK(!p.user.umask);
  CHECK(!p.capabilities);
  CHECK(p.user.uid == 0);
  CHECK(!document.resources().memory->limit);
  CHECK(!document.resources().memory->disableOOMKiller);
  CHECK(!document.resources().pids->limit);
  CHECK(!document.spec.linux->seccomp->flags);
  CHECK(!document.spec.hooks);
}

TEST_CASE("required properties") {
  struct {
    std::string_view json;
    std::string_view path;
  } const rows[] = {
      {R"({})", ""},
      {R"({"ociVersion":"1.0.0","root":{}})", "root"},
      {R"({"ociVersion":"1.0.0","process":{}})", "process"},
      {R"({"ociVersion":"1.0.0","process":{"cwd":"/","consoleSize":{"width":1}}})",
       "process.consoleSize"},
      {R"({"ociVersion":"1.0.0","process":{"cwd":"/","rlimits":[{"type":"x","hard":1}]}})",
       "process.rlimits[0]"},
      {R"({"ociVersion":"1.0.0","process":{"cwd":"/","scheduler":{}}})", "process.scheduler"},
      {R"({"ociVersion":"1.0.0","process":{"cwd":"/","ioPriority":{"priority":1}}})",
       "process.ioPriority"},
      {R"({"ociVersion":"1.0.0","mounts":[{"type":"proc"}]})", "mounts[0]"},
      {R"({"ociVersion":"1.0.0","hooks":{"poststop":[{"args":[]}]}})", "hooks.poststop[0]"},
      {R"({"ociVersion":"1.0.0","linux":{"namespaces":[{"path":"/x"}]}})", "linux.namespaces[0]"},
      {R"({"ociVersion":"1.0.0","linux":{"uidMappings":[{"containerID":1,"size":1}]}})",
       "linux.uidMappings[0]"},
      {R"({"ociVersion":"1.0.0","linux":{"devices":[{"path":"/x"}]}})", "linux.devices[0]"},
      {R"({"ociVersion":"1.0.0","linux":{"seccomp":{}}})", "linux.seccomp"},
      {R"({"ociVersion":"1.0.0","linux":{"seccomp":{"defaultAction":"A","syscalls":[{"names":["x"]}]}}})",
       "linux.seccomp.syscalls[0]"},
      {R"({"ociVersion":"1.0.0","linux":{"resources":{"devices":[{"type":"a"}]}}})",
       "linux.resources.devices[0]"},
      {R"({"ociVersion":"1.0.0","linux":{"resources":{"hugepageLimits":[{"limit":1}]}}})",
       "linux.resources.hugepageLimits[0]"},
      {R"({"ociVersion":"1.0.0","vm":{}})", "vm"},
      {R"({"ociVersion":"1.0.0","vm":{"kernel":{"path":"/k"},"image":{"path":"/i"}}})", "vm.image"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.json);
    auto outcome = check(std::string(row.json));
    CHECK(outcome.words.find("required property") != std::string::npos);
    CHECK(outcome.path == row.path);
  }
}

// schema/test/config of runtime-spec, in other words.
TEST_CASE("the schema's samples") {
  for (std::string_view good : {
           R"({"ociVersion":"1.0.0","root":{"path":"rootfs"}})",
           R"({"ociVersion":"1.0.0","root":{"path":"rootfs"},"process":{"cwd":"/","args":["sh"],
               "user":{"uid":0,"gid":0}}})",
           R"({"ociVersion":"1.0.0","root":{"path":"rootfs"},"linux":{
               "namespaces":[{"type":"network"}],
               "netDevices":{"eth0":{"name":"container_eth0"},"ens4":{},"ens5":{}}}})",
           R"({"ociVersion":"1.0.0","root":{"path":"rootfs"},"linux":{"resources":{"rdma":{
               "mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":1000},
               "rxe3":{"hcaObjects":10000}}}}})",
       }) {
    CAPTURE(good);
    CHECK(check(std::string(good)).words == "");
  }
  struct {
    std::string_view json;
    std::string_view path;
  } const bad[] = {
      {"{]", ""},
      {R"({"ociVersion":"1.0.0","root":{"path":"rootfs"},"linux":{"resources":{
          "hugepageLimits":[{"limit":1234123,"pageSize":"64kB"}]}}})",
       "linux.resources.hugepageLimits[0].pageSize"},
      {R"({"ociVersion":"1.0.0","root":{"path":"rootfs"},"linux":{
          "netDevices":{"eth0":{"name":23}}}})",
       "linux.netDevices.eth0.name"},
      {R"({"ociVersion":"1.0.0","root":{"path":"rootfs"},"linux":{"resources":{"rdma":{
          "mlx5_1":{"hcaHandles":"not a uint32"}}}}})",
       "linux.resources.rdma.mlx5_1.hcaHandles"},
  };
  for (const auto& row : bad) {
    CAPTURE(row.json);
    auto outcome = check(std::string(row.json));
    CHECK(outcome.words != "");
    CHECK(outcome.path == row.path);
  }
}

TEST_CASE("unknown properties are ignored, those of other platforms too") {
  CHECK(check(R"({"ociVersion":"1.0.0","root":{"path":"r","x":1},"windows":{"layerFolders":[1.5]},
      "solaris":{},"zos":{},"freebsd":{"devices":3},"x":{"y":[{}]},
      "linux":{"intelRdt":{"enableCMT":true,"enableMBM":1}}})")
            .words == "");
}
