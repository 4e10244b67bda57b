// The init's mount steps against a real kernel: a Docker-like container, and the attacks that other
// runtimes have fallen for (each named by its CVE).
#include <doctest/doctest.h>
#include <sys/mount.h>

#include "tests/unit/init_fixture.h"

using namespace coracle;
using namespace coracle::test;

namespace {

void docker_mounts(Attempt& a) {
  a.mount("proc", "proc", "/proc", {"nosuid", "noexec", "nodev"});
  a.mount("tmpfs", "tmpfs", "/dev", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  a.mount("devpts", "devpts", "/dev/pts",
          {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  a.mount("sysfs", "sysfs", "/sys", {"nosuid", "noexec", "nodev", "ro"});
  a.mount("cgroup", "cgroup", "/sys/fs/cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
  a.mount("mqueue", "mqueue", "/dev/mqueue", {"nosuid", "noexec", "nodev"});
  a.mount("tmpfs", "shm", "/dev/shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"});
}

std::string mountinfo() { return slurp("/proc/self/mountinfo"); }

}  // namespace

MOUNTING_TEST("init mounts: a Docker-like container") {
  Bundle bundle;
  spill(bundle.path("hosts"), "127.0.0.1 x\n");
  Attempt a(bundle);
  docker_mounts(a);
  a.mount("bind", "hosts", "/etc/hosts", {"rbind", "rprivate", "ro"});
  a.spec.linux->maskedPaths = {"/proc/kcore", "/proc/keys", "/proc/no-such-file", "/sys/firmware",
                               "/proc/scsi"};
  a.spec.linux->readonlyPaths = {"/proc/bus", "/proc/sys", "/proc/no-such-directory"};
  a.spec.root->readonly = true;
  const std::string found = carry_out(a, [] {
    const std::string info = mountinfo();
    std::string out;
    for (const char* point : {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys",
                              "/sys/fs/cgroup", "/etc/hosts", "/proc/keys", "/proc/sys"})
      spec::append(out, point, ": ", mount_line(info, point), "\n");
    for (const char* path : {"/dev/null", "/dev/tty", "/dev/ptmx", "/dev/fd", "/dev/core"})
      out += node(path);
    spec::append(out, "hosts=", slurp("/etc/hosts"));
    spec::append(out, "keys=", slurp("/proc/keys"), "|");
    spec::append(out, "old root ", exists("/canary") ? "visible" : "gone", "\n");
    spec::append(out, "cwd ", std::string(get_current_dir_name()), "\n");
    return out;
  });
  INFO(found);
  CHECK(found.find("failed") == std::string::npos);
  CHECK(found.find("/: ro,") != std::string::npos);
  CHECK(found.find("/proc: rw,nosuid,nodev,noexec,relatime - proc proc") != std::string::npos);
  CHECK(found.find("/dev: rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755") != std::string::npos);
  CHECK(found.find("/dev/pts: rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,"
                   "ptmxmode=666") != std::string::npos);
  CHECK(found.find("/dev/shm: rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k") !=
        std::string::npos);
  CHECK(found.find("/dev/mqueue: rw,nosuid,nodev,noexec,relatime - mqueue mqueue") !=
        std::string::npos);
  CHECK(found.find("/sys: ro,nosuid,nodev,noexec,relatime - sysfs") != std::string::npos);
  CHECK(found.find("/sys/fs/cgroup: ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup") !=
        std::string::npos);
  CHECK(found.find("/etc/hosts: ro,") != std::string::npos);
  CHECK(found.find("/proc/sys: ro,nosuid,nodev,noexec,relatime - proc") != std::string::npos);
  CHECK(found.find("/dev/null 20666 1:3 /dev/tty 20666 5:0 /dev/ptmx->pts/ptmx "
                   "/dev/fd->/proc/self/fd /dev/core->/proc/kcore") != std::string::npos);
  CHECK(found.find("hosts=127.0.0.1 x\n") != std::string::npos);
  CHECK(found.find("keys=|") != std::string::npos);
  CHECK(found.find("old root gone\ncwd /\n") != std::string::npos);
}

MOUNTING_TEST("init mounts: masked directories are empty, read-only and share one tmpfs") {
  Bundle bundle;
  for (const char* dir : {"rootfs/one", "rootfs/two", "rootfs/three"}) {
    bundle.make_dir(dir);
    spill(bundle.path(spec::cat(dir, "/secret")), "secret");
  }
  spill(bundle.root("/file"), "secret");
  Attempt a(bundle);
  a.spec.linux->maskedPaths = {"/one", "/two", "/three/", "/one", "/file", "/missing/x"};
  const std::string found = carry_out(a, [] {
    struct stat one, two, three;
    stat("/one", &one);
    stat("/two", &two);
    stat("/three", &three);
    std::string out;
    spec::append(out,
                 one.st_dev == two.st_dev && two.st_dev == three.st_dev ? "shared " : "apart ");
    spec::append(out, exists("/one/secret") || exists("/two/secret") || exists("/three/secret")
                          ? "seen "
                          : "hidden ");
    spec::append(out, mkdir("/two/x", 0755) == 0 ? "writable " : strerror(errno), " ");
    spec::append(out, "file=", slurp("/file"), "|");
    return out;
  });
  CHECK(found == "shared hidden Read-only file system file=|");
}

MOUNTING_TEST("init mounts: read-only tmpfs is made read-only after it was filled") {
  Bundle bundle;
  spill(bundle.path("hosts"), "x");
  Attempt a(bundle);
  a.mount("tmpfs", "tmpfs", "/dev", {"ro", "nosuid", "mode=755"});
  a.mount("tmpfs", "tmpfs", "/etc", {"ro"});
  a.mount("bind", "hosts", "/etc/sub/hosts", {"bind"});
  const std::string found = carry_out(a, [] {
    return spec::cat(node("/dev/null"), mkdir("/dev/x", 0755) == 0 ? "writable" : strerror(errno),
                     " ", mkdir("/etc/x", 0755) == 0 ? "writable" : strerror(errno), " ",
                     slurp("/etc/sub/hosts"));
  });
  CHECK(found == "/dev/null 20666 1:3 Read-only file system Read-only file system x");
}

MOUNTING_TEST("init mounts: tmpfs takes the mode of the directory it covers") {
  Bundle bundle;
  bundle.make_dir("rootfs/there");
  chmod(bundle.root("/there").c_str(), 01750);
  Attempt a(bundle);
  a.mount("tmpfs", "tmpfs", "/there");
  a.mount("tmpfs", "tmpfs", "/new");
  a.mount("tmpfs", "tmpfs", "/asked", {"mode=0711"});
  CHECK(carry_out(a, [] { return node("/there") + node("/new") + node("/asked"); }) ==
        "/there 41750 0:0 /new 41777 0:0 /asked 40711 0:0 ");
}

MOUNTING_TEST("init mounts: tmpcopyup keeps content, mode, owner and links") {
  Bundle bundle;
  bundle.make_dir("rootfs/var");
  bundle.make_dir("rootfs/var/deep");
  spill(bundle.root("/var/deep/file"), std::string(200000, 'x'));
  chmod(bundle.root("/var/deep/file").c_str(), 04751);
  CHECK(chown(bundle.root("/var/deep/file").c_str(), 12, 34) == 0);
  chmod(bundle.root("/var/deep/file").c_str(), 04751);
  CHECK(symlink("deep/file", bundle.root("/var/link").c_str()) == 0);
  CHECK(mkfifo(bundle.root("/var/fifo").c_str(), 0640) == 0);
  Attempt a(bundle);
  a.mount("tmpfs", "tmpfs", "/var", {"tmpcopyup", "ro", "size=10m"});
  const std::string found = carry_out(a, [] {
    struct stat st {};
    stat("/var/deep/file", &st);
    return spec::cat(node("/var/deep/file"), st.st_uid, ":", st.st_gid, " ",
                     slurp("/var/link").size(), " ", node("/var/link"), node("/var/fifo"),
                     mkdir("/var/x", 0755) == 0 ? "writable" : strerror(errno));
  });
  CHECK(found ==
        "/var/deep/file 104751 0:0 12:34 200000 /var/link->deep/file /var/fifo 10640 0:0 "
        "Read-only file system");
}

MOUNTING_TEST("init mounts: the kernel's words come with the failure") {
  Bundle bundle;
  Attempt a(bundle);
  a.mount("tmpfs", "tmpfs", "/tmp", {"size=banana"});
  const std::string found = carry_out(a, [] { return std::string("made"); });
  CHECK(found.find("failed: mounts[0]: fsconfig: Invalid argument: tmpfs: Bad value for 'size'") ==
        0);
}

MOUNTING_TEST("init mounts: a file onto a directory is told as such") {
  Bundle bundle;
  spill(bundle.path("hosts"), "x");
  Attempt a(bundle);
  a.mount("bind", "hosts", "/etc", {"bind"});
  const std::string found = carry_out(a, [] { return std::string("made"); });
  CHECK(found.find("a file onto a directory") != std::string::npos);
  CHECK(found.find("Not a directory") != std::string::npos);
}

MOUNTING_TEST("init mounts: binds into missing places, files and directories") {
  Bundle bundle;
  bundle.make_dir("data");
  spill(bundle.path("data/inner"), "inner");
  spill(bundle.path("single"), "single");
  Attempt a(bundle);
  a.mount("none", "data", "/a/b/c", {"bind"});
  a.mount("", "single", "x/y/file", {"rbind", "ro"});
  const std::string found = carry_out(a, [] {
    return spec::cat(slurp("/a/b/c/inner"), " ", slurp("/x/y/file"), " ",
                     mkdir("/a/b/c/d", 0755) == 0 ? "writable" : strerror(errno));
  });
  CHECK(found == "inner single writable");
  CHECK(exists(bundle.path("data/d")));
}

MOUNTING_TEST("init mounts: recursive and plain attributes of a bind") {
  Bundle bundle;
  bundle.make_dir("data");
  bundle.make_dir("data/sub");
  Attempt a(bundle);
  // The submount is made in the child before the plan runs, in a namespace of its own.
  a.mount("bind", "data", "/plain", {"rbind", "ro", "nodev"});
  a.mount("bind", "data", "/deep", {"rbind", "rro", "rnosuid", "noatime"});
  const std::string sub = bundle.path("data/sub");
  const pid_t pid = fork();
  if (pid == 0) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
        mount("tmpfs", sub.c_str(), "tmpfs", 0, nullptr) != 0)
      _exit(2);
    const std::string found = carry_out(a, [] {
      auto write_in = [](const char* path) {
        return mkdir(path, 0755) == 0 ? std::string("writable ") : spec::cat(strerror(errno), " ");
      };
      return write_in("/plain/x") + write_in("/plain/sub/x") + write_in("/deep/x") +
             write_in("/deep/sub/x");
    });
    if (found != "Read-only file system writable Read-only file system Read-only file system ")
      std::fprintf(stderr, "# %s\n", found.c_str());
    _exit(found != "Read-only file system writable Read-only file system Read-only file system ");
  }
  int status = 1;
  waitpid(pid, &status, 0);
  CHECK(status == 0);
}

MOUNTING_TEST("init mounts: propagation options reach the mount") {
  Bundle bundle;
  bundle.make_dir("data");
  Attempt a(bundle);
  a.mount("bind", "data", "/p", {"bind", "private"});
  a.mount("bind", "data", "/s", {"bind", "shared"});
  a.mount("bind", "data", "/u", {"rbind", "runbindable"});
  a.mount("tmpfs", "tmpfs", "/t", {"shared"});
  a.mount("proc", "proc", "/proc");
  a.spec.linux->rootfsPropagation = "shared";
  const std::string found = carry_out(a, [] {
    const std::string info = mountinfo();
    std::string out;
    for (const char* point : {"/", "/p", "/s", "/u", "/t"}) {
      const std::string line = mount_line(info, point);
      spec::append(out, point, line.find("shared:") != std::string::npos ? " shared" : "",
                   line.find("unbindable") != std::string::npos ? " unbindable" : "", ",");
    }
    return out;
  });
  CHECK(found == "/ shared,/p,/s shared,/u unbindable,/t shared,");
}

MOUNTING_TEST("init mounts: no pivot leaves the container in its root all the same") {
  Bundle bundle;
  Attempt a(bundle);
  a.request.no_pivot = true;
  a.mount("proc", "proc", "/proc");
  const std::string found = carry_out(a, [&bundle] {
    return spec::cat(exists(bundle.path("canary")) ? "host seen" : "host gone", " ",
                     exists("/proc/self/status") ? "proc" : "no proc", " ",
                     exists("/etc") ? "etc" : "no etc");
  });
  CHECK(found == "host gone proc etc");
}

MOUNTING_TEST("init mounts: copy-symlink, src-nofollow, dest-nofollow") {
  Bundle bundle;
  spill(bundle.path("file"), "file");
  CHECK(symlink("/etc/target", bundle.path("link").c_str()) == 0);
  spill(bundle.root("/real"), "real");
  bundle.link("real", "/over");
  Attempt a(bundle);
  a.mount("bind", "link", "/copied", {"bind", "copy-symlink"});
  a.mount("bind", "file", "/plain", {"bind", "copy-symlink"});
  a.mount("bind", "file", "/over", {"bind", "dest-nofollow"});
  const std::string found = carry_out(a, [] {
    return spec::cat(node("/copied"), slurp("/plain"), " ", slurp("/real"), " ", slurp("/over"));
  });
  CHECK(found == "/copied->/etc/target file real file");
}

MOUNTING_TEST("init mounts: remount changes flags of what is mounted") {
  Bundle bundle;
  Attempt a(bundle);
  a.mount("tmpfs", "tmpfs", "/tmp", {"size=1m"});
  a.mount("", "", "/tmp", {"remount", "ro", "nosuid", "size=2m"});
  a.mount("proc", "proc", "/proc");
  const std::string found = carry_out(a, [] { return mount_line(mountinfo(), "/tmp"); });
  CHECK(found.find("ro,nosuid") == 0);
  CHECK(found.find("size=2048k") != std::string::npos);
}

MOUNTING_TEST("init mounts: superblock flags become file system options") {
  Bundle bundle;
  Attempt a(bundle);
  a.mount(
      "tmpfs", "tmpfs", "/tmp",
      {"sync", "dirsync", "lazytime", "silent", "loud", "iversion", "nosymfollow", "symfollow"});
  a.mount("proc", "proc", "/proc");
  const std::string found = carry_out(a, [] { return mount_line(mountinfo(), "/tmp"); });
  CHECK(found.find("rw,sync,dirsync,lazytime") != std::string::npos);
}

// ---- user namespaces
// -----------------------------------------------------------------------------

MOUNTING_TEST("init mounts: devices are bound and sysfs stands in where a user namespace may not") {
  Bundle bundle;
  Attempt a(bundle);
  a.userns = true;
  docker_mounts(a);
  a.spec.linux->maskedPaths = {"/proc/keys", "/sys/firmware", "/proc/scsi"};
  a.spec.linux->readonlyPaths = {"/proc/sys"};
  const std::string found = carry_out(a, [] {
    const std::string info = mountinfo();
    return spec::cat(node("/dev/null"), "sys ", mount_line(info, "/sys").substr(0, 3), " cgroup ",
                     exists("/sys/fs/cgroup/cgroup.procs") ? "visible" : "hidden", " ",
                     slurp("/proc/keys"));
  });
  CHECK(found == "/dev/null 20666 1:3 sys ro, cgroup hidden ");
}

MOUNTING_TEST("init mounts: the init opens the sources where the parent may not") {
  Bundle bundle;
  spill(bundle.path("hosts"), "x");
  chmod(bundle.name().c_str(), 0755);
  Attempt a(bundle);
  a.userns = true;
  a.parent_mounts = false;
  a.mount("bind", "hosts", "/etc/hosts", {"rbind", "ro", "nosuid"});
  CHECK(carry_out(a, [] { return slurp("/etc/hosts"); }) == "x");
}

// A host directory on a read-only mount, bound without any option of its own.
static std::string clear_readonly(bool parent_mounts, mode_t bundle_mode) {
  Bundle bundle;
  bundle.make_dir("data");
  chmod(bundle.name().c_str(), bundle_mode);
  const std::string data = bundle.path("data");
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) abort();
  const pid_t pid = fork();
  if (pid == 0) {
    constexpr unsigned long kLocked = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID;
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
        mount("tmpfs", data.c_str(), "tmpfs", 0, nullptr) != 0 ||
        mount(nullptr, data.c_str(), nullptr, kLocked, nullptr) != 0)
      _exit(2);
    Attempt a(bundle);
    a.userns = true;
    a.parent_mounts = parent_mounts;
    a.mount("bind", "data", "/data", {"rbind"});
    const std::string found = carry_out(a, [] {
      const int r = mount(nullptr, "/data", nullptr, MS_REMOUNT | MS_BIND | MS_NOSUID, nullptr);
      return std::string(r == 0 ? "writable" : strerror(errno));
    });
    _exit(write(pipe_fds[1], found.data(), found.size()) < 0);
  }
  close(pipe_fds[1]);
  char found[256];
  const ssize_t n = read(pipe_fds[0], found, sizeof(found));
  close(pipe_fds[0]);
  waitpid(pid, nullptr, 0);
  return std::string(found, n < 0 ? 0 : static_cast<size_t>(n));
}

MOUNTING_TEST("what the host's mounts restrict stays locked in a user namespace") {
  CHECK(clear_readonly(false, 0755) == "Operation not permitted");
  CHECK(clear_readonly(true, 0755) == "Operation not permitted");
}
