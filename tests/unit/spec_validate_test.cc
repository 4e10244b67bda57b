// Rules of the top level, of process, and of mounts.

#include <doctest/doctest.h>

#include "spec/capabilities.h"
#include "spec/validate.h"
#include "tests/unit/spec_samples.h"

using namespace coracle::spec;
using coracle::tests::Added;
using coracle::tests::Bad;
using coracle::tests::check;
using coracle::tests::config_with;

template <size_t kSize>
static void refuse_all(const Bad (&rows)[kSize]) {
  for (const Bad& row : rows) {
    std::string json = config_with(row.added);
    CAPTURE(json);
    auto outcome = check(json);
    CAPTURE(outcome.words);
    CHECK(outcome.path == row.path);
    CHECK(outcome.words.find(row.reason) != std::string::npos);
    CHECK(outcome.words.starts_with("config.json:"));
  }
}

static void accept(const Added& added) {
  std::string json = config_with(added);
  CAPTURE(json);
  CHECK(check(json).words == "");
}

TEST_CASE("the small configuration that all others are made from is good") { accept({}); }

TEST_CASE("ociVersion") {
  auto with = [](std::string_view version) {
    return check(cat(R"({"ociVersion":")", version, R"(","root":{"path":"r"}})"));
  };
  for (const char* good : {"1.0.0", "1.0.2-dev", "1.1.0-rc.2", "1.3.0", "1.3.0+dev"}) {
    CAPTURE(good);
    CHECK(with(good).words == "");
    CHECK(with(good).warnings.empty());
  }
  for (const char* bad : {"", "1", "1.0", "latest", "0.5.0-dev", "2.0.0", "1.0.0.0"}) {
    CAPTURE(bad);
    CHECK(with(bad).path == "ociVersion");
  }
  CHECK(with("1.9.0").words == "");
  CHECK(with("1.9.0").warnings.size() == 1);
}

TEST_CASE("root is required") {
  CHECK(check(R"({"ociVersion":"1.0.0"})").path == "root");
  CHECK(check(R"({"ociVersion":"1.0.0","root":{"path":""}})").path == "root.path");
}

TEST_CASE("process may be absent") {
  CHECK(check(R"({"ociVersion":"1.0.0","root":{"path":"r"},"process":null})").words == "");
}

TEST_CASE("bad values at the top") {
  static const std::string long_name = cat("\"hostname\":\"", std::string(65, 'h'), "\"");
  refuse_all({
      {{.top = long_name}, "hostname", "64"},
      {{.top = R"("annotations":{"":"x"})"}, "annotations", "empty"},
      {{.top = R"("hooks":{"prestart":[{"path":"x"}]})"}, "hooks.prestart[0].path", "absolute"},
      {{.top = R"("hooks":{"poststop":[{"path":"/x"},{"path":""}]})"},
       "hooks.poststop[1].path",
       "absolute"},
      {{.top = R"("hooks":{"poststart":[{"path":"/x","timeout":0}]})"},
       "hooks.poststart[0].timeout",
       "greater than zero"},
      {{.top = R"("hooks":{"createRuntime":[{"path":"/x","timeout":-1}]})"},
       "hooks.createRuntime[0].timeout",
       "greater than zero"},
      {{.top = R"("vm":{"kernel":{"path":"k"}})"}, "vm.kernel.path", "absolute"},
      {{.top = R"("vm":{"kernel":{"path":"/k","initrd":"i"}})"}, "vm.kernel.initrd", "absolute"},
      {{.top = R"("vm":{"kernel":{"path":"/k"},"hypervisor":{"path":"h"}})"},
       "vm.hypervisor.path",
       "absolute"},
      {{.top = R"("vm":{"kernel":{"path":"/k"},"image":{"path":"/i","format":"iso"}})"},
       "vm.image.format",
       "iso"},
  });
}

TEST_CASE("names of the host need a uts namespace") {
  for (const char* name : {"hostname", "domainname"}) {
    CAPTURE(name);
    auto outcome = check(cat(R"({"ociVersion":"1.0.0","root":{"path":"r"},")", name,
                             R"(":"x","linux":{"namespaces":[{"type":"pid"}]}})"));
    CHECK(outcome.path == name);
    CHECK(check(cat(R"({"ociVersion":"1.0.0","root":{"path":"r"},")", name, R"(":"x"})")).path ==
          name);
  }
  accept({.top = R"("hostname":"h","domainname":"d")"});
}

TEST_CASE("a vm section is told to be without effect") {
  auto outcome = check(config_with({.top = R"("vm":{"kernel":{"path":"/k"}})"}));
  CHECK(outcome.words == "");
  CHECK(outcome.warnings.size() == 1);
}

TEST_CASE("bad mounts") {
  refuse_all({
      {{.top = R"("mounts":[{"destination":""}])"}, "mounts[0].destination", "empty"},
      {{.top = R"("mounts":[{"destination":"/a","type":"proc"},{"destination":"/b"}])"},
       "mounts[1].type",
       "required"},
      {{.top = R"("mounts":[{"destination":"/a","options":["bind"]}])"},
       "mounts[0].source",
       "required"},
      {{.top = R"("mounts":[{"destination":"/a","source":"/b","options":["bind"],
         "uidMappings":[{"containerID":0,"hostID":1,"size":1}]}])"},
       "mounts[0]",
       "together"},
      {{.top = R"("mounts":[{"destination":"/a","source":"/b","options":["bind"],
         "gidMappings":[{"containerID":0,"hostID":1,"size":1}]}])"},
       "mounts[0]",
       "together"},
      {{.top = R"("mounts":[{"destination":"/a","source":"/b","options":["bind"],
         "uidMappings":[{"containerID":0,"hostID":1,"size":0}],
         "gidMappings":[{"containerID":0,"hostID":1,"size":1}]}])"},
       "mounts[0].uidMappings[0].size",
       "at least 1"},
      {{.top = R"("mounts":[{"destination":"/a","source":"/b","options":["bind","idmap"]}])"},
       "mounts[0].options",
       "idmap"},
      {{.top = R"("mounts":[{"destination":"/a","source":"/b","options":["rbind","ridmap"]}])"},
       "mounts[0].options",
       "idmap"},
  });
}

TEST_CASE("good mounts") {
  accept({.top = R"("mounts":[{"destination":"/proc","type":"proc","source":"proc"},
    {"destination":"/a","source":"/b","type":"none","options":["rbind","rw"]},
    {"destination":"/a","options":["remount","ro"]},{"destination":"/a","options":["rprivate",""]},
    {"destination":"/i","source":"/b","options":["bind","idmap"],
     "uidMappings":[{"containerID":0,"hostID":1,"size":1}],
     "gidMappings":[{"containerID":0,"hostID":1,"size":1}]}])"});
  auto relative = check(config_with({.top = R"("mounts":[{"destination":"a","type":"tmpfs"}])"}));
  CHECK(relative.words == "");
  REQUIRE(relative.warnings.size() == 1);
  CHECK(relative.warnings[0].find("mounts[0].destination") == 0);
}

TEST_CASE("bad processes") {
  auto process = [](std::string_view members) {
    return check(cat(R"({"ociVersion":"1.0.0","root":{"path":"r"},"process":{)", members, "}}"));
  };
  CHECK(process(R"("cwd":"/")").path == "process.args");
  CHECK(process(R"("cwd":"/","args":[])").path == "process.args");
  CHECK(process(R"("cwd":"/","args":[""])").path == "process.args[0]");
  CHECK(process(R"("cwd":"","args":["sh"])").path == "process.cwd");
  CHECK(process(R"("cwd":"a/b","args":["sh"])").path == "process.cwd");
  refuse_all({
      {{.process = R"("env":["A=b","C"])"}, "process.env[1]", "NAME=value"},
      {{.process = R"("env":["=b"])"}, "process.env[0]", "NAME=value"},
      {{.process = R"("env":[""])"}, "process.env[0]", "NAME=value"},
      {{.process = R"("terminal":true,"consoleSize":{"height":65536,"width":1})"},
       "process.consoleSize.height",
       "65535"},
      {{.process = R"("terminal":true,"consoleSize":{"height":1,"width":65536})"},
       "process.consoleSize.width",
       "65535"},
      {{.process = R"("user":{"uid":4294967295})"}, "process.user.uid", "not an id"},
      {{.process = R"("user":{"gid":4294967295})"}, "process.user.gid", "not an id"},
      {{.process = R"("user":{"additionalGids":[1,4294967295]})"},
       "process.user.additionalGids[1]",
       "not an id"},
      {{.process = R"("user":{"uid":4294967296})"}, "process.user.uid", "out of range"},
      {{.process = R"("user":{"umask":512})"}, "process.user.umask", "511"},
      {{.process = R"("oomScoreAdj":1001)"}, "process.oomScoreAdj", "1000"},
      {{.process = R"("oomScoreAdj":-1001)"}, "process.oomScoreAdj", "1000"},
      {{.process = R"("rlimits":[{"type":"RLIMIT_X","hard":1,"soft":1}])"},
       "process.rlimits[0].type",
       "RLIMIT_X"},
      {{.process = R"("rlimits":[{"type":"NOFILE","hard":1,"soft":1}])"},
       "process.rlimits[0].type",
       "NOFILE"},
      {{.process = R"("rlimits":[{"type":"RLIMIT_CPU","hard":1,"soft":1},
         {"type":"RLIMIT_CPU","hard":2,"soft":2}])"},
       "process.rlimits[1].type",
       "twice"},
      {{.process = R"("rlimits":[{"type":"RLIMIT_CPU","hard":1,"soft":2}])"},
       "process.rlimits[0].soft",
       "hard"},
      {{.process = R"("ioPriority":{"class":"RT","priority":1})"},
       "process.ioPriority.class",
       "RT"},
      {{.process = R"("ioPriority":{"class":"IOPRIO_CLASS_RT","priority":8})"},
       "process.ioPriority.priority",
       "0 to 7"},
      {{.process = R"("ioPriority":{"class":"IOPRIO_CLASS_RT","priority":-1})"},
       "process.ioPriority.priority",
       "0 to 7"},
      {{.process = R"("execCPUAffinity":{"initial":"a"})"},
       "process.execCPUAffinity.initial",
       "CPU list"},
      {{.process = R"("execCPUAffinity":{"final":"3-1"})"},
       "process.execCPUAffinity.final",
       "CPU list"},
  });
}

TEST_CASE("bad schedulers") {
  refuse_all({
      {{.process = R"("scheduler":{"policy":"OTHER"})"}, "process.scheduler.policy", "OTHER"},
      {{.process = R"("scheduler":{"policy":"SCHED_OTHER","flags":["SCHED_FLAG_RECLAIM","X"]})"},
       "process.scheduler.flags[1]",
       "X"},
      {{.process = R"("scheduler":{"policy":"SCHED_OTHER","nice":20})"},
       "process.scheduler.nice",
       "19"},
      {{.process = R"("scheduler":{"policy":"SCHED_BATCH","nice":-21})"},
       "process.scheduler.nice",
       "-20"},
      {{.process = R"("scheduler":{"policy":"SCHED_OTHER","priority":1})"},
       "process.scheduler.priority",
       "SCHED_OTHER"},
      {{.process = R"("scheduler":{"policy":"SCHED_FIFO"})"},
       "process.scheduler.priority",
       "1 to 99"},
      {{.process = R"("scheduler":{"policy":"SCHED_RR","priority":100})"},
       "process.scheduler.priority",
       "1 to 99"},
      {{.process = R"("scheduler":{"policy":"SCHED_RR","priority":1,"runtime":5})"},
       "process.scheduler.runtime",
       "5 needs the policy SCHED_DEADLINE"},
      {{.process = R"("scheduler":{"policy":"SCHED_OTHER","deadline":6})"},
       "process.scheduler.deadline",
       "6 needs the policy SCHED_DEADLINE"},
      {{.process = R"("scheduler":{"policy":"SCHED_OTHER","period":7})"},
       "process.scheduler.period",
       "7 needs the policy SCHED_DEADLINE"},
      {{.process = R"("scheduler":{"policy":"SCHED_DEADLINE","runtime":5000})"},
       "process.scheduler.deadline",
       "required"},
      {{.process = R"("scheduler":{"policy":"SCHED_DEADLINE","runtime":1023,"deadline":5000})"},
       "process.scheduler.runtime",
       "1024 ns, not 1023"},
      {{.process = R"("scheduler":{"policy":"SCHED_DEADLINE","runtime":6000,"deadline":5000})"},
       "process.scheduler.runtime",
       "6000 is above the deadline, 5000"},
      {{.process =
            R"("scheduler":{"policy":"SCHED_DEADLINE","runtime":2000,"deadline":5000,"period":4000})"},
       "process.scheduler.deadline",
       "5000 is above the period, 4000"},
      {{.process =
            R"("scheduler":{"policy":"SCHED_DEADLINE","runtime":2000,"deadline":9223372036854775808})"},
       "process.scheduler.deadline",
       "9223372036854775808 is above 9223372036854775807"},
      {{.process =
            R"("scheduler":{"policy":"SCHED_DEADLINE","runtime":2000,"deadline":5000,"period":9223372036854775808})"},
       "process.scheduler.period",
       "9223372036854775808 is above"},
      {{.process =
            R"("scheduler":{"policy":"SCHED_DEADLINE","priority":3,"runtime":2000,"deadline":5000})"},
       "process.scheduler.priority",
       "3 is not possible"},
  });
}

TEST_CASE("good processes") {
  accept({.process = R"("terminal":false,"consoleSize":{"height":99999999,"width":0})"});
  accept({.process = R"("env":["A=","B==","PATH=/bin"],"user":{"uid":4294967294,"umask":511})"});
  accept({.process = R"("oomScoreAdj":-1000,"ioPriority":{"class":"IOPRIO_CLASS_IDLE"})"});
  accept({.process = R"("rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024},
    {"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0}])"});
  accept({.process = R"("scheduler":{"policy":"SCHED_OTHER","nice":-20})"});
  accept({.process = R"("scheduler":{"policy":"SCHED_FIFO","priority":99,
    "flags":["SCHED_FLAG_RESET_ON_FORK"]})"});
  accept({.process = R"("scheduler":{"policy":"SCHED_DEADLINE","runtime":1024,"deadline":5000})"});
  accept({.process = R"("execCPUAffinity":{"initial":"7","final":"0-3,7"})"});
  accept({.process = R"("execCPUAffinity":{"initial":"","final":""})"});
}

TEST_CASE("capabilities that cannot be granted are warned of once a set, and left out") {
  constexpr std::string_view kSets = R"("capabilities":{
    "bounding":["CAP_KILL","CAP_NOPE"],"permitted":["CAP_KILL"],
    "effective":["CAP_KILL","CAP_SYS_ADMIN"],"ambient":["CAP_KILL","CAP_CHOWN"]})";
  auto root = check(config_with({.process = kSets}));
  CHECK(root.words == "");
  REQUIRE(root.warnings.size() == 2);
  CHECK(root.warnings[0].find("process.capabilities.bounding[1]") == 0);
  CHECK(root.warnings[0].find("CAP_NOPE") != std::string::npos);
  CHECK(root.warnings[1].find("CAP_SYS_ADMIN") != std::string::npos);
  const std::string user = cat(R"("user":{"uid":5},)", kSets);
  auto other = check(config_with({.process = user}));
  REQUIRE(other.warnings.size() == 3);
  CHECK(other.warnings[2] ==
        "process.capabilities.ambient: can't raise ambient capabilities CAP_CHOWN, CAP_KILL: not "
        "in both permitted and inheritable");

  LinuxCapabilities wanted;
  wanted.bounding = {"CAP_KILL", "CAP_CHOWN", "CAP_NOPE"};
  wanted.permitted = {"CAP_KILL", "CAP_CHOWN"};
  wanted.effective = {"CAP_KILL", "CAP_SYS_ADMIN"};
  wanted.inheritable = {"CAP_CHOWN"};
  wanted.ambient = {"CAP_CHOWN", "CAP_KILL"};
  Warnings warnings;
  CapabilitySets sets = resolve_capabilities(wanted, false, warnings);
  CHECK(sets.bounding == 0x21);
  CHECK(sets.permitted == 0x21);
  CHECK(sets.effective == 0x20);
  CHECK(sets.inheritable == 0x01);
  CHECK(sets.ambient == 0x01);
  CHECK(warnings.size() == 3);
}
