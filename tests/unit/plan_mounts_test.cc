// The mounts' part of a plan: which steps, by whom, in what order; no root needed.
#include <doctest/doctest.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include <span>
#include <string>

#include "runtime/plan/mounts.h"
#include "runtime/plan/plan.h"
#include "spec/error.h"
#include "spec/text.h"
#include "tests/unit/plan_mounts_bench.h"

using namespace coracle;
using namespace coracle::plan;
using namespace coracle::test;

TEST_CASE("mounts: paths are cleaned lexically") {
  CHECK(clean_path("/a//b/./c/") == "/a/b/c");
  CHECK(clean_path("a/../../b") == "/b");
  CHECK(clean_path("/../..") == "/");
  CHECK(clean_path("") == "/");
  CHECK(clean_path("/a/..b/...") == "/a/..b/...");
}

TEST_CASE("mounts: the order of the steps") {
  Bench b;
  b.mount("proc", "proc", "/proc");
  b.mount("bind", "data", "/data", {"bind"});
  b.spec.linux->maskedPaths = {"/proc/kcore"};
  b.spec.linux->readonlyPaths = {"/proc/sys"};
  b.spec.root->readonly = true;
  CHECK(order(b.plan()) ==
        "OpenTree PropagationRoot AttachRoot MountFs OpenTree MountTree MakeNode MakeSymlink "
        "ReadonlyPath HostNull MaskPath PivotRoot RootAttr ");
  const View view(b.block.data());
  for (const Step& step : view) CHECK((step.actor == Actor::kParent) == (&step == view.begin()));
}

TEST_CASE("mounts: without rights over the host the init opens the sources, before anything else") {
  Bench b;
  b.parent_mounts = false;
  b.mount("bind", "data", "/data", {"bind"});
  CHECK(order(b.plan()).find("OpenTree PropagationRoot AttachRoot ") == 0);
  CHECK(b.block.size() > 0);
  for (const Step& step : View(b.block.data())) CHECK(step.actor == Actor::kInit);
}

TEST_CASE("mounts: in a user namespace the init takes its own clones, but for idmapped ones") {
  Bench b;
  b.new_userns = true;
  b.mount("bind", "data", "/data", {"bind"});
  spec::Mount& mapped = b.mount("bind", "mapped", "/mapped", {"bind"});
  mapped.uidMappings = {{0, 5, 1}};
  mapped.gidMappings = {{0, 5, 1}};
  const View v = b.plan();
  CHECK(order(v).find("IdmapUserns OpenTree HostNodes OpenTree PropagationRoot") == 0);
  CHECK(count(v, Op::kOpenTree) == 5);
  CHECK(nth<OpenTree>(v, 3).flags == (kTreeRecursive | kTreeMustBeDirectory | kTreeReplace));
  CHECK(nth<OpenTree>(v, 3).slot == nth<OpenTree>(v, 0).slot);
  CHECK(v.str(nth<OpenTree>(v, 4).path) == "/bundle/data");
  CHECK(nth<OpenTree>(v, 4).slot == nth<OpenTree>(v, 1).slot);
}

TEST_CASE(
    "mounts: what the container mounted itself is cloned by the init, idmapped by the parent") {
  Bench b;
  b.new_userns = true;
  spec::Mount& mapped = b.mount("bind", "/bundle/rootfs/a", "/b", {"rbind"});
  mapped.uidMappings = {{0, 5, 1}};
  mapped.gidMappings = {{0, 5, 1}};
  View v = b.plan();
  const auto& tree = nth<OpenTree>(v, 2);
  CHECK(v.str(tree.path) == "/a");
  CHECK(tree.flags == (kTreeRecursive | kTreeInRoot | kTreeSend));
  for (const SetAttr& a : std::span(v.list<SetAttr>(tree.attrs), tree.attrs.count))
    CHECK(a.userns == kNoSlot);
  CHECK(order(v).find("OpenTree IdmapTree Meet MountTree") != std::string::npos);
  const auto& attr = v.list<SetAttr>(nth<IdmapTree>(v).attrs)[0];
  CHECK(attr.userns == nth<IdmapUserns>(v).slot);
  b.new_userns = false;
  v = b.plan();
  CHECK(count(v, Op::kIdmapTree) == 0);
}

TEST_CASE("mounts: the rootfs") {
  Bench b;
  View v = b.plan();
  const auto& tree = nth<OpenTree>(v);
  CHECK(v.str(tree.path) == "/bundle/rootfs");
  CHECK(tree.flags == (kTreeRecursive | kTreeMustBeDirectory));
  CHECK(attrs(v, tree.attrs) == spec::cat("0/0/", MS_SLAVE, "/r "));
  CHECK(nth<AttachRoot>(v).slot == tree.slot);
  CHECK(v.str(nth<AttachRoot>(v).path) == "/bundle/rootfs");
  CHECK(count(v, Op::kRootAttr) == 0);
  CHECK(count(v, Op::kHostNull) == 0);
  b.spec.root->path = "/elsewhere";
  v = b.plan();
  CHECK(v.str(nth<OpenTree>(v).path) == "/elsewhere");
}

TEST_CASE("mounts: propagation of the root") {
  struct {
    const char* asked;
    unsigned long clone;
    unsigned long host;
    std::string end;
  } cases[] = {
      {"", MS_SLAVE, MS_SLAVE, ""},
      {"slave", MS_SLAVE, MS_SLAVE, ""},
      {"rslave", MS_SLAVE, MS_SLAVE, ""},
      {"private", MS_PRIVATE, MS_PRIVATE, ""},
      {"shared", MS_PRIVATE, MS_SLAVE, spec::cat("0/0/", MS_SHARED, " ")},
      {"rshared", MS_PRIVATE, MS_SLAVE, spec::cat("0/0/", MS_SHARED, "/r ")},
      {"unbindable", MS_PRIVATE, MS_SLAVE, spec::cat("0/0/", MS_UNBINDABLE, " ")},
  };
  for (const auto& test : cases) {
    CAPTURE(test.asked);
    Bench b;
    b.spec.linux->rootfsPropagation = test.asked;
    b.mount("bind", "/x", "/x", {"bind"});  // with nothing to hear of, the host is cut off instead
    const View v = b.plan();
    CHECK(attrs(v, nth<OpenTree>(v).attrs) == spec::cat("0/0/", test.clone, "/r "));
    CHECK(nth<PropagationRoot>(v).propagation == test.host);
    CHECK(count(v, Op::kRootAttr) == (test.end.empty() ? 0 : 1));
    if (!test.end.empty()) CHECK(attrs(v, nth<RootAttr>(v).attrs) == test.end);
  }
}

TEST_CASE("mounts: a bind takes as few calls as keep its meaning") {
  // Who names a flag names them all; a user namespace locks all but one.
  constexpr uint64_t kFree = MOUNT_ATTR_NOSYMFOLLOW;
  constexpr uint64_t kRest = kFree | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  struct {
    spec::Strings options;
    std::string in_turn;  // by the init, whose mounts have their propagation
    std::string before;   // by the parent, out of the host's peer groups
  } cases[] = {
      {{"bind"}, "", spec::cat("0/0/", MS_SLAVE, " ")},
      {{"rbind"}, "", spec::cat("0/0/", MS_SLAVE, "/r ")},
      {{"rbind", "rprivate", "ro"},
       spec::cat("1/", kRest, "/0 "),  // the host's mounts are made private instead, all at once
       spec::cat("1/", kFree, "/0 0/0/", MS_PRIVATE, "/r ")},
      {{"bind", "rprivate", "ro"},
       spec::cat("1/", kRest, "/0 "),
       spec::cat("1/", kFree, "/", MS_PRIVATE, " ")},
      {{"rbind", "rro"}, "1/0/0/r ", spec::cat("1/0/", MS_SLAVE, "/r ")},
      {{"rbind", "rslave"}, spec::cat("0/0/", MS_SLAVE, "/r "), spec::cat("0/0/", MS_SLAVE, "/r ")},
      {{"rbind", "private"},
       spec::cat("0/0/", MS_PRIVATE, " "),
       spec::cat("0/0/", MS_SLAVE, "/r 0/0/", MS_PRIVATE, " ")},
      {{"rbind", "rshared"},
       spec::cat("0/0/", MS_SHARED, "/r "),
       spec::cat("0/0/", MS_SLAVE, "/r 0/0/", MS_SHARED, "/r ")},
      {{"bind", "noatime"},
       spec::cat(MOUNT_ATTR_NOATIME, "/", MOUNT_ATTR__ATIME | kRest | MOUNT_ATTR_RDONLY, "/0 "),
       spec::cat(MOUNT_ATTR_NOATIME, "/", MOUNT_ATTR__ATIME | kFree, "/", MS_SLAVE, " ")},
  };
  for (const auto& test : cases) {
    CAPTURE(test.before);
    Bench b;
    b.mount("bind", "data", "/data", test.options);
    for (bool userns : {false, true}) {
      b.new_userns = userns;
      const View v = b.plan();
      const auto& tree = nth<OpenTree>(v, 1);
      CHECK(v.str(tree.path) == "/bundle/data");
      CHECK(attrs(v, tree.attrs) == (userns ? test.before : test.in_turn));
      CHECK((tree.flags == kTreeRecursive) == (test.options[0] == "rbind"));
      CHECK(nth<MountTree>(v).slot == tree.slot);
    }
  }
}

TEST_CASE("mounts: a shared root leaves the peer groups of binds as they are") {
  Bench b;
  b.spec.linux->rootfsPropagation = "rshared";
  b.mount("bind", "/vol", "/vol", {"rbind", "rshared"});
  const View v = b.plan();
  CHECK(attrs(v, nth<OpenTree>(v, 1).attrs) == spec::cat("0/0/", MS_SHARED, "/r "));
}

TEST_CASE("mounts: a bind is told by its options, whatever its type") {
  Bench b;
  b.mount("tmpfs", "data", "/data", {"rbind"});
  CHECK(count(b.plan(), Op::kMountTree) == 1);
  Bench plain;
  plain.mount("bind", "data", "/data", {"ro"});
  CHECK(
      plain.error() ==
      "mounts[0].type: a mount is a bind mount if its options have bind or rbind; these have not");
}

TEST_CASE("mounts: file systems") {
  Bench b;
  b.mount("tmpfs", "shm", "dev/shm",
          {"nosuid", "strictatime", "mode=1777", "size=65536k", "sync", "async", "lazytime",
           "rnoexec"});
  b.mount("devpts", "devpts", "/dev/pts", {"newinstance", "ptmxmode=0666", "gid=5"});
  b.mount("sysfs", "sysfs", "/sys", {"ro"});
  b.mount("cgroup", "cgroup", "/sys/fs/cgroup", {"ro"});
  b.mount("ext4", "/dev/vdb", "/mnt", {"ro"});
  const View v = b.plan();
  const auto& shm = nth<MountFs>(v, 0);
  CHECK(v.str(shm.target) == "/dev/shm");
  CHECK(v.str(shm.source) == "shm");
  CHECK(options(v, shm.options) == "lazytime,mode=1777,size=65536k,");
  CHECK(shm.mount_attrs == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NOEXEC));
  CHECK(shm.flags == 0);
  CHECK(options(v, nth<MountFs>(v, 1).options) == "ptmxmode=0666,gid=5,");
  CHECK(nth<MountFs>(v, 2).flags == kMountNoSymlinks);
  CHECK(v.str(nth<MountFs>(v, 3).fstype) == "cgroup2");
  CHECK(options(v, nth<MountFs>(v, 4).options) == "ro,");
  CHECK(nth<MountFs>(v, 4).mount_attrs == MOUNT_ATTR_RDONLY);
}

TEST_CASE("mounts: what a user namespace may be refused has a stand-in") {
  Bench b;
  b.new_userns = true;
  b.request.cgroup_path = "/c";
  b.mount("sysfs", "sysfs", "/sys");
  b.mount("mqueue", "mqueue", "/dev/mqueue");
  b.mount("cgroup2", "cgroup", "/sys/fs/cgroup", {"ro"});
  View v = b.plan();
  CHECK(nth<MountFs>(v, 0).flags == (kMountNoSymlinks | kMountSysBind));
  CHECK(nth<MountFs>(v, 1).flags == kMountMqueueBind);
  CHECK(nth<MountFs>(v, 2).flags == kMountCgroupBind);
  CHECK(v.str(nth<OpenTree>(v, 1).path) == "/sys/fs/cgroup/c");
  CHECK(nth<MountFs>(v, 2).fallback == nth<OpenTree>(v, 1).slot);
  // With a cgroup namespace of its own the kernel mounts the container's cgroup itself.
  b.spec.linux->namespaces.push_back({"cgroup", ""});
  v = b.plan();
  CHECK(count(v, Op::kOpenTree) == 2);  // the rootfs, twice
  CHECK(nth<MountFs>(v, 2).fallback == kNoSlot);
}

TEST_CASE("mounts: read-only tmpfs waits until it is filled, but only then") {
  Bench b;
  b.mount("tmpfs", "tmpfs", "/dev", {"ro", "mode=755"});
  b.mount("tmpfs", "tmpfs", "/run", {"ro", "mode=755"});
  b.mount("tmpfs", "tmpfs", "/etc", {"ro", "mode=755"});
  b.mount("bind", "hosts", "/etc/hosts", {"bind"});
  const View v = b.plan();
  CHECK(nth<MountFs>(v, 0).mount_attrs == 0);
  CHECK(nth<MountFs>(v, 1).mount_attrs == MOUNT_ATTR_RDONLY);
  CHECK(nth<MountFs>(v, 2).mount_attrs == 0);
  CHECK(count(v, Op::kRemount) == 2);
  CHECK(v.str(nth<Remount>(v, 0).target) == "/dev");
  CHECK(attrs(v, nth<Remount>(v, 1).attrs) == "1/0/0 ");
}

TEST_CASE("mounts: tmpcopyup fills the tmpfs before it becomes read-only") {
  Bench b;
  b.mount("tmpfs", "tmpfs", "/var", {"tmpcopyup", "ro", "nosuid"});
  const View v = b.plan();
  CHECK(nth<MountFs>(v).flags == (kMountCopyUp | kMountKeepMode));
  CHECK(nth<MountFs>(v).mount_attrs == MOUNT_ATTR_NOSUID);
  CHECK(attrs(v, nth<MountFs>(v).attrs) == "1/0/0 ");
}

TEST_CASE("mounts: below /proc only what lxcfs emulates") {
  for (const char* bad : {"/proc/self/attr", "/proc/sys", "//proc/./kcore", "/proc/x/../stat/y"}) {
    CAPTURE(bad);
    Bench b;
    b.mount("bind", "/x", bad, {"bind"});
    CHECK(b.error().find("mounts[0].destination: ") == 0);
  }
  for (const char* good : {"/proc/cpuinfo", "/proc/meminfo", "/proc/sys/kernel/ns_last_pid"}) {
    CAPTURE(good);
    Bench b;
    b.mount("bind", "/x", good, {"bind"});
    CHECK(b.error().empty());
  }
  Bench tmpfs;
  tmpfs.mount("tmpfs", "tmpfs", "/proc");
  CHECK(tmpfs.error() == "mounts[0].destination: /proc takes a mount of type proc, not \"tmpfs\"");
  Bench bind;
  bind.mount("bind", "/proc", "/proc", {"rbind"});
  View v = bind.plan();
  CHECK(nth<MountTree>(v).flags == (kMountMustBeProc | kMountNoSymlinks));
}

TEST_CASE("mounts: at /: what it hides is finished before, it is shared only behind the pivot") {
  Bench b;
  b.mount("tmpfs", "tmpfs", "/a", {"ro"});
  b.mount("bind", "/x", "/a/b", {"bind"});
  b.mount("tmpfs", "tmpfs", "/..", {"ro", "shared"});
  b.mount("bind", "/y", "/c", {"bind"});
  View v = b.plan();
  CHECK(count(v, Op::kRemount) == 2);
  CHECK(order(v).find("MountFs OpenTree MountTree Remount MountFs OpenTree MountTree MakeNode") !=
        std::string::npos);
  CHECK(v.str(nth<Remount>(v, 0).target) == "/a");
  CHECK(v.str(nth<Remount>(v, 1).target) == "/");
  CHECK(attrs(v, nth<MountFs>(v, 1).attrs) == spec::cat("0/0/", MS_SHARED, " 0/0/", MS_SLAVE, " "));
  CHECK(attrs(v, nth<RootAttr>(v).attrs) == spec::cat("0/0/", MS_SHARED, " "));
  CHECK(count(v, Op::kMakeNode) == 6);  // a /dev bound before it would be hidden, too

  Bench running;
  running.mount("tmpfs", "tmpfs", "/");
  Draft d{{}, running.spec, running.request, running.request, running.host, running.warnings};
  d.running = true;
  CHECK_THROWS_WITH(read_mounts(d),
                    "mounts[0].destination: the root of a running container is not a place for a "
                    "mount");
}

TEST_CASE("mounts: idmapped mounts share user namespaces of equal maps") {
  Bench b;
  b.spec.linux->namespaces.push_back({"user", ""});
  b.spec.linux->uidMappings = {{0, 1000, 10}};
  b.spec.linux->gidMappings = {{0, 2000, 10}};
  b.new_userns = true;
  b.mount("bind", "/a", "/a", {"bind", "idmap"});
  b.mount("bind", "/b", "/b", {"rbind", "ridmap"});
  spec::Mount& own = b.mount("bind", "/c", "/c", {"bind"});
  own.uidMappings = {{0, 5, 1}};
  own.gidMappings = {{0, 5, 1}};
  View v = b.plan();
  CHECK(count(v, Op::kIdmapUserns) == 2);
  CHECK(v.str(nth<IdmapUserns>(v).gid_map) == "0 2000 10\n");
  const auto& first = v.list<SetAttr>(nth<OpenTree>(v, 1).attrs)[0];
  CHECK(first.set == MOUNT_ATTR_IDMAP);
  CHECK(first.userns == nth<IdmapUserns>(v, 0).slot);
  CHECK(first.recursive == 0);
  CHECK(v.list<SetAttr>(nth<OpenTree>(v, 2).attrs)[0].recursive == 1);
  CHECK(v.list<SetAttr>(nth<OpenTree>(v, 3).attrs)[0].userns == nth<IdmapUserns>(v, 1).slot);

  b.spec.linux->namespaces[1].path = "/proc/7/ns/user";
  v = b.plan();
  CHECK(count(v, Op::kOpenNamespace) == 1);
  CHECK(v.list<SetAttr>(nth<OpenTree>(v, 1).attrs)[0].userns == nth<OpenNamespace>(v).slot);

  b.host.privileged = false;
  CHECK(b.error().find("mounts[0]: an idmapped mount needs CAP_SYS_ADMIN") == 0);
}

TEST_CASE("mounts: idmap with nothing to map by is an error") {
  Bench b;
  b.mount("bind", "/a", "/a", {"bind", "idmap"});
  CHECK(b.error() ==
        "mounts[0].options: idmap without mappings, and the container has no user namespace");
}

TEST_CASE("mounts: changes of what is mounted") {
  Bench b;
  b.mount("tmpfs", "tmpfs", "/tmp");
  b.mount("", "", "/tmp", {"remount", "nosuid", "async", "size=1m"});
  b.mount("", "", "/tmp", {"rshared"});
  b.mount("bind", "", "/tmp", {"bind", "remount", "ro"});
  const View v = b.plan();
  CHECK(count(v, Op::kRemount) == 3);
  CHECK(options(v, nth<Remount>(v, 0).options) == "async,size=1m,");
  CHECK(attrs(v, nth<Remount>(v, 0).attrs) == "2/0/0 ");
  CHECK(attrs(v, nth<Remount>(v, 1).attrs) == spec::cat("0/0/", MS_SHARED, "/r "));
  CHECK(attrs(v, nth<Remount>(v, 2).attrs) == "1/0/0 ");
}

TEST_CASE("mounts: labels go to file systems that have them") {
  Bench b;
  b.spec.linux->mountLabel = "system_u:object_r:x:s0:c1,c2";
  b.mount("tmpfs", "tmpfs", "/tmp", {"mode=755"});
  b.mount("proc", "proc", "/proc");
  View v = b.plan();
  CHECK(options(v, nth<MountFs>(v, 0).options) == "mode=755,");
  REQUIRE(b.warnings.size() == 1);
  CHECK(b.warnings[0] == "linux.mountLabel: SELinux is off on this host: ignored");
  b.host.selinux = true;
  b.spec.linux->maskedPaths = {"/x"};
  v = b.plan();
  CHECK(options(v, nth<MountFs>(v, 0).options) == "mode=755,context=system_u:object_r:x:s0:c1,c2,");
  CHECK(options(v, nth<MountFs>(v, 1).options).empty());
  CHECK(v.str(nth<MaskPath>(v).label) == "system_u:object_r:x:s0:c1,c2");
  b.spec.annotations.push_back({"run.oci.mount_context_type", "rootcontext"});
  v = b.plan();
  CHECK(options(v, nth<MountFs>(v, 0).options).find("rootcontext=") != std::string::npos);
}

TEST_CASE("mounts: masked and read-only paths once each, the root never") {
  Bench b;
  b.spec.linux->maskedPaths = {"/proc/kcore", "/proc/./kcore", "/proc/keys/"};
  b.spec.linux->readonlyPaths = {"/proc/sys", "/proc/sys"};
  const View v = b.plan();
  CHECK(count(v, Op::kMaskPath) == 2);
  CHECK(count(v, Op::kReadonlyPath) == 1);
  CHECK(v.str(nth<MaskPath>(v, 1).path) == "/proc/keys");
  CHECK(nth<PivotRoot>(v).null == nth<HostNull>(v).slot);
  for (const Step& step : v)
    if (step.op == Op::kMaskPath) CHECK(step.on_error == OnError::kSkipMissing);
  b.spec.linux->maskedPaths = {"/proc", "/"};
  CHECK(b.error() == "linux.maskedPaths[1]: the container's root cannot be hidden or protected");
}
