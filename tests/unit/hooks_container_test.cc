// Hooks inside a container: a process with namespaces of its own stands in for one. Needs root.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <string>
#include <vector>

#include "hooks/hooks.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "tests/unit/hook_bundle.h"

using namespace coracle;
using hooks::Kind;
using tests::Bundle;
using tests::hook;
using tests::run;

namespace {

constexpr int kAll = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;
const spec::Strings kPath = {"PATH=/bin:/usr/bin:/sbin:/usr/sbin"};

bool is_root() { return geteuid() == 0; }

void bind(const std::string& from, const std::string& to) {
  mkdir(to.c_str(), 0755);
  if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) _exit(11);
}

// Init of a container that has the host's programs, its own /proc, and /own for files.
[[noreturn]] void be_init(const std::string& rootfs, bool inside, int ready) {
  sethostname("coracle-hooks", 13);
  mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (chdir(rootfs.c_str()) != 0) _exit(10);
  if (inside) {
    bind(rootfs, rootfs);
    for (const char* dir : {"/bin", "/lib", "/lib64", "/usr", "/dev"}) bind(dir, rootfs + dir);
    mkdir((rootfs + "/proc").c_str(), 0755);
    if (mount("proc", (rootfs + "/proc").c_str(), "proc", 0, nullptr) != 0) _exit(12);
    if (chroot(rootfs.c_str()) != 0 || chdir("/") != 0) _exit(13);
  }
  prctl(PR_SET_DUMPABLE, 0);
  if (write(ready, "!", 1) != 1) _exit(14);
  for (;;) pause();
}

void write_map(pid_t pid, const char* file) {
  std::string path = "/proc/" + std::to_string(pid) + "/" + file;
  sys::Fd fd = sys::open_at(sys::At::cwd(), path.c_str(), O_WRONLY);
  REQUIRE(fd);
  REQUIRE(sys::write_all(fd, "0 100000 65536\n") == 0);
}

class FakeContainer {
 public:
  FakeContainer(const Bundle& bundle, bool inside, bool userns = false) {
    std::string rootfs = bundle.path() + "/rootfs";
    mkdir(rootfs.c_str(), 0755);
    int to_child[2], ready[2];
    REQUIRE(pipe2(to_child, O_CLOEXEC) == 0);
    REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
    int flags = kAll | CLONE_NEWPID | (userns ? CLONE_NEWUSER : 0);
    char stack[65536];
    Start start = {to_child[0], ready[1], inside, userns, &rootfs};
    pid_ = clone(&FakeContainer::main, stack + sizeof(stack), flags | SIGCHLD, &start);
    REQUIRE(pid_ > 0);
    close(to_child[0]);
    close(ready[1]);
    if (userns) {
      write_map(pid_, "uid_map");
      write_map(pid_, "gid_map");
    }
    char c = 0;
    REQUIRE(write(to_child[1], "!", 1) == 1);
    REQUIRE(read(ready[0], &c, 1) == 1);
    close(to_child[1]);
    close(ready[0]);
    pidfd_ = sys::pidfd_open(pid_);
    REQUIRE(pidfd_);
    container_.pid = pid_;
    container_.pidfd = &pidfd_;
  }
  ~FakeContainer() { end(); }
  void end() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    pid_ = 0;
  }
  hooks::Container container_;

 private:
  struct Start {
    int go, ready;
    bool inside, userns;
    const std::string* rootfs;
  };
  static int main(void* argument) {
    const Start& s = *static_cast<Start*>(argument);
    char c;
    if (read(s.go, &c, 1) != 1) _exit(15);
    if (s.userns && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)) _exit(16);
    be_init(*s.rootfs, s.inside, s.ready);
  }
  pid_t pid_ = 0;
  sys::Fd pidfd_;
};

std::string link_of(const char* path) {
  char text[256] = {};
  return readlink(path, text, sizeof(text) - 1) > 0 ? text : "";
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("createContainer: the container's namespaces, the runtime's files") {
  if (!is_root()) return;
  Bundle b;
  FakeContainer c(b, false);
  std::string look = b.script("look",
                              "pwd > ../pwd; cd ..\n"
                              "uname -n > host; readlink /proc/self/ns/pid /proc/self/ns/net > ns\n"
                              "mount -t tmpfs none rootfs && touch rootfs/inside; cat > state");
  CHECK(run(b, {hook(look, {}, kPath)}, Kind::kCreateContainer, "{}", &c.container_).error == "");
  CHECK(b.read("host") == "coracle-hooks\n");
  CHECK(b.read("pwd") == b.file("rootfs") + "\n");
  CHECK(b.read("state") == "{}");
  CHECK(has_line(b.read("ns"), link_of("/proc/self/ns/pid")));
  CHECK_FALSE(has_line(b.read("ns"), link_of("/proc/self/ns/net")));
  CHECK(b.read("rootfs/inside") == "(no file)");  // its mount is not the host's
  CHECK(run(b, {hook("/no/such/hook")}, Kind::kCreateContainer, "{}", &c.container_).error ==
        "error running createContainer hook #0: /no/such/hook: open: No such file or directory "
        "(ENOENT)");
  std::string bad = b.script("bad", "echo why >&2; exit 3");
  CHECK(run(b, {hook(bad)}, Kind::kCreateContainer, "{}", &c.container_).error ==
        "error running createContainer hook #0: " + bad + ": exit status 3: why");
  CHECK(run(b, {hook("/bin/true")}, Kind::kCreateContainer, "{}", &c.container_).error == "");
}

TEST_CASE("startContainer: the container's files and pid namespace") {
  if (!is_root()) return;
  Bundle b;
  FakeContainer c(b, true);
  std::string body =
      "uname -n > /out; readlink /proc/self/ns/pid >> /out; pwd >> /out\n"
      "echo \"$0 $*\" >> /out; cat >> /out; test -e " +
      b.path() + " || echo in >> /out";
  b.script("rootfs/look", body);
  std::string error =
      run(b, {hook("/look", {"zero", "a b"}, kPath)}, Kind::kStartContainer, "{}\n", &c.container_)
          .error;
  CHECK(error == "");
  std::string out = b.read("rootfs/out");
  CHECK(has_line(out, "coracle-hooks"));
  CHECK_FALSE(has_line(out, link_of("/proc/self/ns/pid")));
  CHECK(out.find("\n/\n/look a b\n{}\nin\n") != out.npos);
  // A binary; a timeout across the pid namespace; a path that only the host has.
  CHECK(run(b, {hook("/bin/true")}, Kind::kStartContainer, "{}", &c.container_).error == "");
  spec::Hook slow = hook("/bin/sleep", {"sleep", "60"});
  slow.timeout = 1;
  CHECK(run(b, {slow}, Kind::kStartContainer, "{}", &c.container_).error ==
        "error running startContainer hook #0: /bin/sleep: killed after its timeout of 1 s");
  std::string host_only = b.script("host-only", "exit 0");
  CHECK(run(b, {hook(host_only)}, Kind::kStartContainer, "{}", &c.container_).error ==
        "error running startContainer hook #0: " + host_only + ": open " + host_only +
            ": No such file or directory (ENOENT)");
}

TEST_CASE("scripts of a container: interpreter arguments, chains, and none that is unreadable") {
  if (!is_root()) return;
  Bundle b;
  FakeContainer c(b, true);
  auto put = [&](const char* name, const std::string& text) {
    sys::Fd out =
        sys::open_at(sys::At::cwd(), b.file(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0, 0755);
    REQUIRE(sys::write_all(out, text) == 0);
  };
  auto start = [&](const char* path) {
    return run(b, {hook(path, {path, "x"}, kPath)}, Kind::kStartContainer, "{}", &c.container_)
        .error;
  };
  put("rootfs/flag", "#! \t/bin/sh -e \t\nfalse\nexit 0\n");
  CHECK(start("/flag") == "error running startContainer hook #0: /flag: exit status 1");
  put("rootfs/one", "#!/bin/sh\necho \"$0|$*\" > /out\n");
  put("rootfs/two", "#!/one  first second \n");
  CHECK(start("/two") == "");
  CHECK(b.read("rootfs/out") == "/one|first second /two x\n");
  put("rootfs/loop", "#!/loop\n");
  CHECK(start("/loop") ==
        "error running startContainer hook #0: /loop: /loop: Too many levels of symbolic links "
        "(ELOOP)");
  put("rootfs/empty", "#!\n");
  CHECK(start("/empty") ==
        "error running startContainer hook #0: /empty: its interpreter cannot be read: Exec format "
        "error (ENOEXEC)");
  put("rootfs/long", "#!/" + std::string(400, 'x') + "\n");
  CHECK(start("/long") ==
        "error running startContainer hook #0: /long: its interpreter cannot be read: Exec format "
        "error (ENOEXEC)");
}

TEST_CASE("CVE-2019-5736: our binary is not to be had through a hook of the image") {
  if (!is_root()) return;
  Bundle b;
  FakeContainer c(b, true);
  std::string rootfs = b.path() + "/rootfs";
  REQUIRE(symlink("/proc/1/exe", (rootfs + "/link").c_str()) == 0);
  {
    sys::Fd out =
        sys::open_at(sys::At::cwd(), (rootfs + "/script").c_str(), O_WRONLY | O_CREAT, 0, 0755);
    REQUIRE(sys::write_all(out, "#!/proc/1/exe\n") == 0);
  }
  // Its /proc does not know us, so there "self" is nobody; pid 1 stands for a shared namespace.
  auto start = [&](const char* path) {
    return run(b, {hook(path)}, Kind::kStartContainer, "{}", &c.container_).error;
  };
  CHECK(start("/link") ==
        "error running startContainer hook #0: /link: open /link: Too many levels of symbolic "
        "links (ELOOP)");
  CHECK(start("/proc/1/exe") ==
        "error running startContainer hook #0: /proc/1/exe: open /proc/1/exe: Too many levels of "
        "symbolic links (ELOOP)");
  CHECK(start("/script") ==
        "error running startContainer hook #0: /script: open /proc/1/exe: Too many levels of "
        "symbolic links (ELOOP)");
  CHECK(start("/proc/self/exe") ==
        "error running startContainer hook #0: /proc/self/exe: open /proc/self/exe: No such file "
        "or directory (ENOENT)");
  // A link that leaves the root leads nowhere but into the root.
  REQUIRE(symlink("../../../../../../etc/hostname", (rootfs + "/out-of-it").c_str()) == 0);
  CHECK(run(b, {hook("/out-of-it")}, Kind::kStartContainer, "{}", &c.container_).error ==
        "error running startContainer hook #0: /out-of-it: open /out-of-it: No such file or "
        "directory (ENOENT)");
}

TEST_CASE("startContainer is confined as the container's process is") {
  if (!is_root()) return;
  Bundle b;
  FakeContainer c(b, true);
  chmod((b.path() + "/rootfs").c_str(), 0777);
  chmod(b.path().c_str(), 0755);
  b.script("rootfs/look", "cat /proc/self/status > /out; getppid 2>/dev/null; exit 0");
  sys::Confinement to;
  const uint32_t groups[] = {7, 8};
  const uint64_t allow[] = {
      std::bit_cast<uint64_t>(sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW})};
  to.bounding = 0x3;
  to.permitted = to.effective = to.inheritable = to.ambient = 0x1;
  to.uid = 1234;
  to.gid = 4321;
  to.groups = groups;
  to.group_count = 2;
  to.filter = allow;
  to.filter_size = 1;
  for (bool no_new_privileges : {true, false}) {
    unlink((b.path() + "/rootfs/out").c_str());
    to.no_new_privileges = no_new_privileges;
    c.container_.confine = &to;
    CHECK(run(b, {hook("/look", {}, kPath)}, Kind::kStartContainer, "{}", &c.container_).error ==
          "");
    std::string status = b.read("rootfs/out");
    CHECK(has_line(status, "Uid:\t1234\t1234\t1234\t1234"));
    CHECK(has_line(status, "Gid:\t4321\t4321\t4321\t4321"));
    CHECK(has_line(status, "Groups:\t7 8 "));
    CHECK(has_line(status, "CapBnd:\t0000000000000003"));
    CHECK(has_line(status, "CapEff:\t0000000000000001"));
    CHECK(has_line(status, "CapAmb:\t0000000000000001"));
    CHECK(has_line(status, std::string("NoNewPrivs:\t") + (no_new_privileges ? "1" : "0")));
    CHECK(has_line(status, "Seccomp:\t2"));
  }
  // createContainer is the runtime's own program: not confined.
  std::string free = b.script("free", "grep CapBnd /proc/self/status > bound");
  CHECK(run(b, {hook(free, {}, kPath)}, Kind::kCreateContainer, "{}", &c.container_).error != "");
}

TEST_CASE("a user namespace: the hook is its root") {
  if (!is_root()) return;
  Bundle b;
  chmod(b.path().c_str(), 0777);
  FakeContainer c(b, false, true);
  std::string look =
      b.script("look", "cd ..; id -u > who; id -G >> who; cat /proc/self/uid_map >> who");
  REQUIRE(chmod(look.c_str(), 0755) == 0);
  CHECK(run(b, {hook(look, {}, kPath)}, Kind::kCreateContainer, "{}", &c.container_).error == "");
  CHECK(b.read("who").substr(0, 4) == "0\n0\n");
  CHECK(b.read("who").find("100000") != std::string::npos);
  struct stat st;
  REQUIRE(stat(b.file("who").c_str(), &st) == 0);
  CHECK(st.st_uid == 100000);
}

TEST_CASE("a container that has ended, and none at all") {
  if (!is_root()) return;
  Bundle b;
  std::string ok = b.script("ok", "exit 0");
  CHECK(run(b, {hook(ok)}, Kind::kCreateContainer).error ==
        "error running createContainer hook #0: " + ok + ": has no container to run in");
  FakeContainer c(b, false);
  c.end();
  std::string error = run(b, {hook(ok)}, Kind::kCreateContainer, "{}", &c.container_).error;
  CHECK(error.find("error running createContainer hook #0: " + ok + ": /proc/") == 0);
}
