// Rules of linux and its parts.

#include <doctest/doctest.h>

#include "tests/unit/spec_samples.h"

using namespace coracle::spec;
using coracle::tests::check;
using coracle::tests::config_with;

namespace {

struct Row {
  std::string_view linux_members;
  std::string_view path;
  std::string_view reason;
};

template <size_t kSize>
void refuse_all(const Row (&rows)[kSize]) {
  for (const Row& row : rows) {
    std::string json = config_with({.linux_section = row.linux_members});
    CAPTURE(json);
    auto outcome = check(json);
    CAPTURE(outcome.words);
    CHECK(outcome.path == row.path);
    CHECK(outcome.words.find(row.reason) != std::string::npos);
  }
}

void accept(std::string_view linux_members) {
  std::string json = config_with({.linux_section = linux_members});
  CAPTURE(json);
  CHECK(check(json).words == "");
}

// A configuration with only the given members of linux and of process.
coracle::tests::Outcome only(std::string_view linux_members, std::string_view process = "") {
  return check(cat(R"({"ociVersion":"1.0.0","root":{"path":"r"},"process":{"cwd":"/",)",
                   R"("args":["sh"])", process.empty() ? "" : ",", process, R"(},"linux":{)",
                   linux_members, "}}"));
}

}  // namespace

TEST_CASE("namespaces") {
  CHECK(only(R"("namespaces":[{"type":"pid"},{"type":"pid"}])").path == "linux.namespaces[1].type");
  CHECK(only(R"("namespaces":[{"type":"pid"},{"type":"mount"},{"type":"pid","path":"/p"}])").path ==
        "linux.namespaces[2].type");
  CHECK(only(R"("namespaces":[{"type":"net"}])").path == "linux.namespaces[0].type");
  CHECK(only(R"("namespaces":[{"type":""}])").path == "linux.namespaces[0].type");
  CHECK(only(R"("namespaces":[{"type":"ipc","path":"proc/1/ns/ipc"}])").path ==
        "linux.namespaces[0].path");
  CHECK(only(R"("namespaces":[])").words == "");
  CHECK(only(R"("namespaces":[{"type":"pid"},{"type":"network","path":"/n"},{"type":"mount"},
    {"type":"ipc"},{"type":"uts"},{"type":"cgroup"},{"type":"time"},
    {"type":"user","path":"/proc/1/ns/user"}])")
            .words == "");
}

TEST_CASE("user namespace mappings") {
  constexpr std::string_view kUser = R"("namespaces":[{"type":"user"}],)";
  constexpr std::string_view kGids = R"("gidMappings":[{"containerID":0,"hostID":5,"size":10}])";
  auto uids = [&](std::string_view list, std::string_view process = "") {
    return only(cat(kUser, R"("uidMappings":[)", list, "],", kGids), process);
  };
  CHECK(uids(R"({"containerID":0,"hostID":1000,"size":10})").words == "");
  CHECK(uids(R"({"containerID":0,"hostID":0,"size":4294967295})").words == "");
  struct {
    std::string_view list;
    std::string_view path;
  } const bad[] = {
      {R"({"containerID":0,"hostID":1000,"size":0})", "linux.uidMappings[0].size"},
      {R"({"containerID":1,"hostID":0,"size":4294967295})", "linux.uidMappings[0].containerID"},
      {R"({"containerID":0,"hostID":4294967295,"size":1})", "linux.uidMappings[0].hostID"},
      {R"({"containerID":0,"hostID":0,"size":10},{"containerID":9,"hostID":100,"size":1})",
       "linux.uidMappings[1]"},
      {R"({"containerID":0,"hostID":0,"size":10},{"containerID":10,"hostID":5,"size":1})",
       "linux.uidMappings[1]"},
  };
  for (const auto& row : bad) {
    CAPTURE(row.list);
    CHECK(uids(row.list).path == row.path);
  }
  std::string many;
  for (int i = 0; i < 341; ++i) {
    append(many, i ? "," : "", R"({"containerID":)", i, R"(,"hostID":)", i, R"(,"size":1})");
  }
  CHECK(uids(many).path == "linux.uidMappings");

  CHECK(uids("").words == "");
  CHECK(only(R"("uidMappings":[{"containerID":0,"hostID":1,"size":1}])").path ==
        "linux.uidMappings");
  CHECK(only(R"("gidMappings":[{"containerID":0,"hostID":1,"size":1}])").path ==
        "linux.gidMappings");
  CHECK(only(cat(R"("namespaces":[{"type":"user","path":"/u"}],)", kGids)).words == "");
}

TEST_CASE("the mappings that a new user namespace lacks are the caller's") {
  Spec spec;
  spec.linux.emplace();
  CHECK(complete_id_maps(spec, 7, 8) == "");
  spec.linux->namespaces.push_back({"user", "/proc/1/ns/user"});
  CHECK(complete_id_maps(spec, 7, 8) == "");
  spec.linux->namespaces[0].path = "";
  spec.linux->uidMappings = {{0, 1000, 10}};
  CHECK(complete_id_maps(spec, 7, 8) == "linux.gidMappings: not set: 0 8 1");
  CHECK(spec.linux->uidMappings[0].hostID == 1000);
  REQUIRE(spec.linux->gidMappings.size() == 1);
  CHECK(spec.linux->gidMappings[0].hostID == 8);
  spec.linux->uidMappings.clear();
  spec.linux->gidMappings.clear();
  CHECK(complete_id_maps(spec, 0, 0) ==
        "linux.uidMappings: not set: 0 0 1, linux.gidMappings: not set: 0 0 1");
}

TEST_CASE("the process' ids must be mapped in a new user namespace") {
  constexpr std::string_view kMapped =
      R"("namespaces":[{"type":"user"}],
         "uidMappings":[{"containerID":5,"hostID":1000,"size":2}],
         "gidMappings":[{"containerID":0,"hostID":1000,"size":3}])";
  CHECK(only(kMapped, R"("user":{"uid":6,"gid":2})").words == "");
  CHECK(only(kMapped, R"("user":{"uid":4})").path == "process.user.uid");
  CHECK(only(kMapped, R"("user":{"uid":7})").path == "process.user.uid");
  CHECK(only(kMapped, R"("user":{"uid":5,"gid":3})").path == "process.user.gid");
  CHECK(only(kMapped, R"("user":{"uid":5,"additionalGids":[1,9]})").path ==
        "process.user.additionalGids[1]");
}

TEST_CASE("time offsets") {
  constexpr std::string_view kOffset = R"("timeOffsets":{"monotonic":{"secs":1}})";
  CHECK(only(kOffset).path == "linux.timeOffsets");
  CHECK(only(cat(R"("namespaces":[{"type":"time"}],)", kOffset)).words == "");
  CHECK(only(cat(R"("namespaces":[{"type":"time","path":"/t"}],)", kOffset)).path ==
        "linux.timeOffsets");
  CHECK(only(R"("namespaces":[{"type":"time"}],"timeOffsets":{"realtime":{}})").path ==
        "linux.timeOffsets.realtime");
  CHECK(only(R"("namespaces":[{"type":"time"}],"timeOffsets":{"boottime":{"nanosecs":1000000000}})")
            .path == "linux.timeOffsets.boottime.nanosecs");
  CHECK(only(R"("timeOffsets":{})").words == "");
}

TEST_CASE("devices") {
  refuse_all({
      {R"("devices":[{"path":"/dev/x","type":"a","major":1,"minor":1}])", "linux.devices[0].type",
       "expected"},
      {R"("devices":[{"path":"/dev/x","type":"cb","major":1,"minor":1}])", "linux.devices[0].type",
       "expected"},
      {R"("devices":[{"path":"dev/x","type":"c","major":1,"minor":1}])", "linux.devices[0].path",
       "absolute"},
      {R"("devices":[{"path":"/dev/x","type":"c","minor":1}])", "linux.devices[0].major",
       "required"},
      {R"("devices":[{"path":"/dev/x","type":"b","major":1}])", "linux.devices[0].minor",
       "required"},
      {R"("devices":[{"path":"/dev/x","type":"u","major":4096,"minor":1}])",
       "linux.devices[0].major", "4095"},
      {R"("devices":[{"path":"/dev/x","type":"c","major":1,"minor":-1}])", "linux.devices[0].minor",
       "1048575"},
  });
  accept(R"("devices":[{"path":"/dev/p","type":"p"},{"path":"/dev/q","type":"p"},
    {"path":"/x","type":"c","major":0,"minor":1048575}])");
  auto warned = check(config_with({.linux_section = R"("devices":[
    {"path":"/a","type":"c","major":1,"minor":1,"fileMode":8630},
    {"path":"/b","type":"c","major":1,"minor":1,"fileMode":438}])"}));
  CHECK(warned.words == "");
  REQUIRE(warned.warnings.size() == 2);
  CHECK(warned.warnings[0].find("linux.devices[0].fileMode") == 0);
  CHECK(warned.warnings[1].find("linux.devices[1]") == 0);
}

TEST_CASE("network devices") {
  refuse_all({
      {R"("netDevices":{"":{}})", R"(linux.netDevices[""])", "not a possible name"},
      {R"("netDevices":{"a/b":{}})", R"(linux.netDevices["a/b"])", "not a possible name"},
      {R"("netDevices":{"eth0":{"name":"sixteen--letters"}})", "linux.netDevices.eth0.name",
       "not a possible name"},
      {R"("netDevices":{"eth0":{"name":"%d%d"}})", "linux.netDevices.eth0.name", "%d%d"},
      {R"("netDevices":{"eth0":{"name":"a%dx"}})", "linux.netDevices.eth0.name", "a%dx"},
      {R"("netDevices":{"eth0":{"name":"a%s"}})", "linux.netDevices.eth0.name", "a%s"},
      {R"("netDevices":{"eth0":{"name":"c0"},"eth1":{"name":"c0"}})", "linux.netDevices.eth1",
       "second"},
      {R"("netDevices":{"eth0":{"name":"eth1"},"eth1":{}})", "linux.netDevices.eth1", "second"},
  });
  accept(R"("netDevices":{"eth0":{"name":"c%d"},"eth1":{"name":"c%d"},"eth2.7":{}})");
  CHECK(only(R"("netDevices":{"eth0":{}})").path == "linux.netDevices");
}

TEST_CASE("kernel parameters must belong to the container") {
  refuse_all({
      {R"("sysctl":{"vm.swappiness":"1"})", R"(linux.sysctl["vm.swappiness"])", "not isolated"},
      {R"("sysctl":{"kernel.pid_max":"1"})", R"(linux.sysctl["kernel.pid_max"])", "not isolated"},
      {R"("sysctl":{"kernel.shm":"1"})", R"(linux.sysctl["kernel.shm"])", "not isolated"},
      {R"("sysctl":{"network.x":"1"})", R"(linux.sysctl["network.x"])", "not isolated"},
      {R"("sysctl":{"net":"1"})", "linux.sysctl.net", "not isolated"},
      {R"("sysctl":{"kernel.hostname":"x"})", R"(linux.sysctl["kernel.hostname"])", "hostname"},
      {R"("sysctl":{"kernel/hostname":"x"})", R"(linux.sysctl["kernel/hostname"])", "hostname"},
      {R"("sysctl":{"user.max_user_namespaces":"1"})",
       R"(linux.sysctl["user.max_user_namespaces"])", "user namespace"},
      {R"("sysctl":{"net..x":"1"})", R"(linux.sysctl["net..x"])", "not a name"},
      {R"("sysctl":{"net/../kernel/x":"1"})", R"(linux.sysctl["net/../kernel/x"])", "not a name"},
      {R"("sysctl":{"":"1"})", R"(linux.sysctl[""])", "not a name"},
  });
  const std::string named =
      config_with({.top = R"("domainname":"sea")",
                   .linux_section = R"("sysctl":{"kernel.domainname":"lake"})"});
  CHECK(check(named).path == R"(linux.sysctl["kernel.domainname"])");
  CHECK(check(named).words.find(R"("lake", but the property domainname is "sea")") !=
        std::string::npos);
  CHECK(check(config_with({.top = R"("domainname":"sea")",
                           .linux_section = R"("sysctl":{"kernel/domainname":"sea"})"}))
            .words == "");
  accept(R"("sysctl":{"net.ipv4.ip_forward":"1","net/ipv4/conf/eno2.100/mtu":"1",
    "kernel.shmmax":"1","kernel/msgmni":"1","kernel.sem":"1 2 3 4","fs.mqueue.msg_max":"5",
    "kernel.shm_rmid_forced":"1","kernel.domainname":"d"})");
  CHECK(only(R"("namespaces":[{"type":"ipc"}],"sysctl":{"net.core.somaxconn":"1"})").path ==
        R"(linux.sysctl["net.core.somaxconn"])");
  CHECK(only(R"("namespaces":[{"type":"network"}],"sysctl":{"kernel.shmmax":"1"})").path ==
        R"(linux.sysctl["kernel.shmmax"])");
  CHECK(only(R"("sysctl":{"fs.mqueue.msg_max":"1"})").path ==
        R"(linux.sysctl["fs.mqueue.msg_max"])");
  CHECK(only(R"("sysctl":{"kernel.domainname":"1"})").path ==
        R"(linux.sysctl["kernel.domainname"])");
}

TEST_CASE("paths, propagation, personality, cgroups path") {
  refuse_all({
      {R"("maskedPaths":["/a","b"])", "linux.maskedPaths[1]", "absolute"},
      {R"("readonlyPaths":[""])", "linux.readonlyPaths[0]", "absolute"},
      {R"("rootfsPropagation":"public")", "linux.rootfsPropagation", "public"},
      {R"("personality":{"domain":"linux"})", "linux.personality.domain", "linux"},
      {R"("personality":{"domain":"LINUX","flags":["X"]})", "linux.personality.flags", "no flags"},
      {R"("cgroupsPath":"/a/../../b")", "linux.cgroupsPath", ".."},
      {R"("cgroupsPath":"a\nb")", "linux.cgroupsPath", "control"},
  });
  accept(R"("maskedPaths":["/a"],"readonlyPaths":["/b"],"rootfsPropagation":"rslave",
    "personality":{"domain":"LINUX32","flags":[]},"cgroupsPath":"a.slice:b:c")");
  CHECK(only(R"("maskedPaths":["/a"])").path == "linux.maskedPaths");
  CHECK(only(R"("readonlyPaths":["/a"])").path == "linux.readonlyPaths");
}

TEST_CASE("Intel RDT") {
  refuse_all({
      {R"("intelRdt":{"closID":".."})", "linux.intelRdt.closID", "group"},
      {R"("intelRdt":{"closID":"."})", "linux.intelRdt.closID", "group"},
      {R"("intelRdt":{"closID":"a/b"})", "linux.intelRdt.closID", "group"},
      {R"("intelRdt":{"closID":"a\nb"})", "linux.intelRdt.closID", "group"},
      {R"("intelRdt":{"memBwSchema":"L3:0=f"})", "linux.intelRdt.memBwSchema", "MB:"},
      {R"("intelRdt":{"memBwSchema":"MB:0=1\nL3:0=f"})", "linux.intelRdt.memBwSchema", "newline"},
      {R"("intelRdt":{"l3CacheSchema":"L3:0=f\n"})", "linux.intelRdt.l3CacheSchema", "newline"},
      {R"("intelRdt":{"schemata":["L3:0=f","a\nb"]})", "linux.intelRdt.schemata[1]", "newline"},
  });
  accept(R"("intelRdt":{"closID":"/","schemata":["L3:0=f"],"memBwSchema":"MB:0=1",
    "enableMonitoring":true})");
  auto warned = check(config_with({.linux_section = R"("intelRdt":{"l3CacheSchema":"0=f"})"}));
  CHECK(warned.words == "");
  CHECK(warned.warnings.size() == 1);
}

TEST_CASE("memory policy") {
  refuse_all({
      {R"("memoryPolicy":{"mode":"BIND"})", "linux.memoryPolicy.mode",
       "invalid memory policy mode: unknown value \"BIND\""},
      {R"("memoryPolicy":{"mode":""})", "linux.memoryPolicy.mode", "invalid memory policy mode"},
      {R"("memoryPolicy":{})", "linux.memoryPolicy.mode", "invalid memory policy mode"},
      {R"("memoryPolicy":{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_X"]})",
       "linux.memoryPolicy.flags[0]", "invalid memory policy flag: unknown value \"MPOL_F_X\""},
      {R"("memoryPolicy":{"mode":"MPOL_BIND","nodes":"x"})", "linux.memoryPolicy.nodes",
       "invalid memory policy node list"},
      {R"("memoryPolicy":{"mode":"MPOL_BIND","nodes":"0-9876543210"})", "linux.memoryPolicy.nodes",
       "invalid memory policy node list"},
      {R"("memoryPolicy":{"mode":"MPOL_BIND"})", "linux.memoryPolicy.nodes", "required"},
      {R"("memoryPolicy":{"mode":"MPOL_INTERLEAVE","nodes":""})", "linux.memoryPolicy.nodes",
       "required"},
      {R"("memoryPolicy":{"mode":"MPOL_WEIGHTED_INTERLEAVE"})", "linux.memoryPolicy.nodes",
       "required"},
      {R"("memoryPolicy":{"mode":"MPOL_PREFERRED_MANY"})", "linux.memoryPolicy.nodes", "required"},
      {R"("memoryPolicy":{"mode":"MPOL_DEFAULT","nodes":"0-6,9"})", "linux.memoryPolicy.nodes",
       "MPOL_DEFAULT mode requires 0 nodes but got 8"},
      {R"("memoryPolicy":{"mode":"MPOL_LOCAL","nodes":"0"})", "linux.memoryPolicy.nodes",
       "mode requires 0 nodes but got 1"},
      {R"("memoryPolicy":{"mode":"MPOL_BIND","nodes":"0",
          "flags":["MPOL_F_STATIC_NODES","MPOL_F_RELATIVE_NODES"]})",
       "linux.memoryPolicy.flags", "exclude"},
      {R"("memoryPolicy":{"mode":"MPOL_INTERLEAVE","nodes":"0",
          "flags":["MPOL_F_NUMA_BALANCING"]})",
       "linux.memoryPolicy.flags", "MPOL_BIND"},
  });
  accept(R"("memoryPolicy":{"mode":"MPOL_PREFERRED","nodes":""})");
  accept(R"("memoryPolicy":{"mode":"MPOL_DEFAULT"})");
  accept(R"("memoryPolicy":{"mode":"MPOL_BIND","nodes":"0-3,7",
    "flags":["MPOL_F_NUMA_BALANCING","MPOL_F_STATIC_NODES"]})");
}

TEST_CASE("seccomp") {
  refuse_all({
      {R"("seccomp":{"defaultAction":"ALLOW"})", "linux.seccomp.defaultAction", "ALLOW"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1})",
       "linux.seccomp.defaultErrnoRet", "not possible"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096})",
       "linux.seccomp.defaultErrnoRet", "4095"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_TRACE","defaultErrnoRet":65536})",
       "linux.seccomp.defaultErrnoRet", "65535"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW","architectures":["x86"]})",
       "linux.seccomp.architectures[0]", "x86"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_X"]})",
       "linux.seccomp.flags[0]", "FLAG_X"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW","listenerMetadata":"m"})",
       "linux.seccomp.listenerMetadata", "listenerPath"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW",
          "syscalls":[{"names":["a"],"action":"SCMP_ACT_NOTIFY"}]})",
       "linux.seccomp", "listenerPath"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_NOTIFY"})", "linux.seccomp", "listenerPath"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW",
          "syscalls":[{"names":[],"action":"SCMP_ACT_ERRNO"}]})",
       "linux.seccomp.syscalls[0].names", "at least one"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW",
          "syscalls":[{"names":["a",""],"action":"SCMP_ACT_ERRNO"}]})",
       "linux.seccomp.syscalls[0].names[1]", "empty"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW",
          "syscalls":[{"names":["a"],"action":"SCMP_ACT_X"}]})",
       "linux.seccomp.syscalls[0].action", "SCMP_ACT_X"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ERRNO",
          "syscalls":[{"names":["a"],"action":"SCMP_ACT_KILL","errnoRet":1}]})",
       "linux.seccomp.syscalls[0].errnoRet", "not possible"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],
          "action":"SCMP_ACT_KILL","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]})",
       "linux.seccomp.syscalls[0].args[0].index", "0 to 5"},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],
          "action":"SCMP_ACT_KILL","args":[{"index":5,"value":1,"op":"=="}]}]})",
       "linux.seccomp.syscalls[0].args[0].op", "=="},
  });
  accept(R"("seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
    "architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_SHEB"],
    "flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV","SECCOMP_FILTER_FLAG_TSYNC"],
    "listenerPath":"/l","listenerMetadata":"m",
    "syscalls":[{"names":["a"],"action":"SCMP_ACT_NOTIFY"},
      {"names":["b"],"action":"SCMP_ACT_TRACE","errnoRet":65535,
       "args":[{"index":0,"value":0,"op":"SCMP_CMP_MASKED_EQ","valueTwo":1},
               {"index":5,"value":0,"op":"SCMP_CMP_NE"}]}]})");
  accept(R"("seccomp":{"defaultAction":"SCMP_ACT_KILL_THREAD","listenerPath":"/ignored"})");
}
