// What images and bundles have tried on other runtimes, against the init's steps and a real kernel;
// each is named by its CVE where it has one.
#include <doctest/doctest.h>

#include "tests/unit/init_fixture.h"

using namespace coracle;
using namespace coracle::test;

MOUNTING_TEST("CVE-2026-41579: /dev is a symlink of the image to a host directory") {
  Bundle bundle;
  spill(bundle.path("canary/ptmx"), "old");
  unlink(bundle.path("canary/ptmx").c_str());
  bundle.link(bundle.path("canary"), "/dev");
  Attempt a(bundle);
  const std::string found =
      carry_out(a, [&bundle] { return node((bundle.path("canary") + "/null").c_str()); });
  CHECK(bundle.canary_untouched());
  // The link leads to a directory of the same name inside the root.
  CHECK(found.find("20666 1:3") != std::string::npos);
}

MOUNTING_TEST("CVE-2019-16884: /proc is a symlink of the image") {
  Bundle bundle;
  bundle.make_dir("rootfs/fake");
  bundle.link("/fake", "/proc");
  Attempt a(bundle);
  a.mount("proc", "proc", "/proc");
  const std::string found = carry_out(a, [] { return std::string("made"); });
  CHECK(found ==
        "failed: mounts[0]: verify: Too many levels of symbolic links: must be mounted on "
        "ordinary directory, without symbolic links on the way");
}

MOUNTING_TEST("CVE-2019-19921: a symlink leads a mount into procfs") {
  Bundle bundle;
  bundle.make_dir("data");
  bundle.link("/proc/sys", "/door");
  Attempt a(bundle);
  a.mount("proc", "proc", "/proc");
  a.mount("bind", "data", "/door", {"bind"});
  const std::string found = carry_out(a, [] { return std::string("made"); });
  CHECK(found ==
        "failed: mounts[1]: verify: Operation not permitted: a symbolic link leads into a "
        "procfs");
}

MOUNTING_TEST("CVE-2019-16884: only a procfs may be bound on /proc") {
  Bundle bundle;
  bundle.make_dir("data");
  Attempt bad(bundle);
  bad.mount("bind", "data", "/proc", {"rbind"});
  CHECK(carry_out(bad, [] { return std::string("made"); }).find("failed: mounts[0]: verify") == 0);
  Attempt part(bundle);
  part.mount("bind", "/proc/sys", "/proc", {"rbind"});
  CHECK(carry_out(part, [] { return std::string("made"); }).find("failed: mounts[0]: verify") == 0);
  Attempt good(bundle);
  good.mount("bind", "/proc", "/proc", {"rbind"});
  CHECK(carry_out(good, [] {
          return std::string(exists("/proc/self/status") ? "proc" : "no proc");
        }) == "proc");
}

MOUNTING_TEST(
    "CVE-2019-18837: mount targets by absolute, dotted and dangling symlinks stay inside") {
  Bundle bundle;
  const std::string canary = bundle.path("canary");
  bundle.link(canary, "/abs");
  bundle.link("../../../../../../../.." + canary, "/dots");
  bundle.link(canary + "/new-directory", "/dangling");
  bundle.link("/abs", "/nested");
  Attempt a(bundle);
  for (const char* target : {"/abs", "/dots", "/dangling", "/nested/deep", "/../../dots/x"})
    a.mount("tmpfs", "tmpfs", target);
  const std::string found = carry_out(a, [&canary] {
    return std::string(exists(canary + "/new-directory") ? "inside" : "nowhere");
  });
  CHECK(found == "inside");
  CHECK(bundle.canary_untouched());
}

MOUNTING_TEST("a loop of symlinks ends, and a magic link is refused") {
  Bundle bundle;
  bundle.link("/loop2", "/loop1");
  bundle.link("/loop1", "/loop2");
  Attempt a(bundle);
  a.mount("tmpfs", "tmpfs", "/loop1");
  CHECK(carry_out(a, [] { return std::string("made"); }).find("Too many levels") !=
        std::string::npos);
  bundle.link("/proc/self/root", "/magic");
  Attempt b(bundle);
  b.mount("proc", "proc", "/proc");
  b.mount("tmpfs", "tmpfs", "/magic");
  CHECK(carry_out(b, [] { return std::string("made"); }).find("failed: mounts[1]") == 0);
}

MOUNTING_TEST("CVE-2025-31133: /dev/null of the image is not what masks") {
  Bundle bundle;
  bundle.make_dir("imagedev");
  spill(bundle.path("imagedev/null"), "not null");
  spill(bundle.root("/secret"), "secret");
  Attempt a(bundle);
  a.mount("bind", "imagedev", "/dev", {"rbind"});
  a.spec.linux->maskedPaths = {"/secret"};
  CHECK(carry_out(a, [] { return spec::cat("[", slurp("/secret"), "]"); }) == "[]");
}

MOUNTING_TEST("an existing file in a device's place is an error, a ptmx node is replaced") {
  Bundle bundle;
  CHECK(mknod(bundle.root("/dev/ptmx").c_str(), S_IFCHR | 0666, makedev(5, 2)) == 0);
  CHECK(mknod(bundle.root("/dev/zero").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0);
  Attempt good(bundle);
  CHECK(carry_out(good, [] { return node("/dev/ptmx") + node("/dev/zero"); }) ==
        "/dev/ptmx->pts/ptmx /dev/zero 20600 1:5 ");
  spill(bundle.root("/dev/random"), "4");
  unlink(bundle.root("/dev/random").c_str());
  spill(bundle.root("/dev/random"), "4");
  Attempt bad(bundle);
  CHECK(carry_out(bad, [] { return std::string("made"); }).find("something else is there") !=
        std::string::npos);
}

MOUNTING_TEST("configured devices: type, mode, owner, parents") {
  Bundle bundle;
  Attempt a(bundle);
  a.mount("tmpfs", "tmpfs", "/dev", {"mode=755"});
  spec::LinuxDevice tun;
  tun.path = "/dev/net/tun";
  tun.type = "c";
  tun.major = 10;
  tun.minor = 200;
  tun.fileMode = 020640;
  tun.uid = 7;
  spec::LinuxDevice pipe;
  pipe.path = "/run/pipe";
  pipe.type = "p";
  spec::LinuxDevice big;
  big.path = "/dev/big";
  big.type = "b";
  big.major = 259;
  big.minor = 300;
  a.spec.linux->devices = {tun, pipe, big};
  const std::string found = carry_out(a, [] {
    struct stat st {};
    stat("/dev/net/tun", &st);
    return spec::cat(node("/dev/net/tun"), st.st_uid, " ", node("/run/pipe"), node("/dev/big"));
  });
  CHECK(found == "/dev/net/tun 20640 10:200 7 /run/pipe 10666 0:0 /dev/big 60666 259:300 ");
}
