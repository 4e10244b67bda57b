// Cgroups for tests: a fake tree of plain files, and a real one. The real one lies on a cgroup2
// mount that is never attached anywhere, below a directory of its own, and takes root.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "runtime/cgroup/control.h"
#include "runtime/cgroup/fs.h"
#include "runtime/sys/file.h"

namespace coracle::tests {

// A directory with plain files; removed at the end.
class FakeTree {
 public:
  FakeTree() {
    char name[] = "/tmp/coracle-cgroup-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
    mount = sys::open_at(sys::At::cwd(), name, O_RDONLY | O_DIRECTORY);
    REQUIRE(mount);
  }
  ~FakeTree() { sys::remove_tree(sys::At::cwd(), path_.c_str()); }
  void directory(const char* path) { REQUIRE(sys::mkdir_at(mount, path, 0755) == 0); }
  void file(const char* path, std::string_view content = "") {
    sys::Fd fd = sys::open_at(mount, path, O_WRONLY | O_CREAT | O_TRUNC, 0, 0644);
    REQUIRE(fd);
    REQUIRE(sys::write_all(fd, content) == 0);
  }
  std::string read(const char* path) const {
    std::string text;
    return sys::read_file(mount, path, text) == 0 ? text : "(missing)";
  }
  bool exists(const char* path) const {
    return static_cast<bool>(sys::open_at(mount, path, O_PATH));
  }
  sys::Fd mount;

 private:
  std::string path_;
};

// A detached cgroup2 mount; no descriptor without root.
inline sys::Fd mount_cgroup2() {
  const int fs = static_cast<int>(::syscall(SYS_fsopen, "cgroup2", 1));
  if (fs < 0) return sys::Fd(-errno);
  sys::Fd context(fs);
  constexpr unsigned kCreate = 6;  // FSCONFIG_CMD_CREATE
  if (::syscall(SYS_fsconfig, fs, kCreate, nullptr, nullptr, 0) < 0) return sys::Fd(-errno);
  const long mount = ::syscall(SYS_fsmount, fs, 1, 0);
  return sys::Fd(mount < 0 ? -errno : static_cast<int>(mount));
}

// "/coracle-test-PID" on a real cgroup2 mount.
class RealTree {
 public:
  RealTree() : mount(mount_cgroup2()) {
    top = "/coracle-test-" + std::to_string(::getpid());
    if (mount && sys::mkdir_at(mount, top.c_str() + 1, 0755) < 0) mount.reset();
    if (!mount) MESSAGE("skipped: no cgroup2 to write to (needs root)");
  }
  ~RealTree() {
    if (mount) cgroup::destroy(mount, top);
  }
  explicit operator bool() const { return static_cast<bool>(mount); }
  sys::Fd mount;
  std::string top;
};

// A child born in the cgroup, that runs `body` and then waits to be killed.
template <typename Body>
pid_t spawn(const cgroup::Cgroup& cgroup, Body body) {
  clone_args args = {};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<uint64_t>(cgroup.dir.get());
  const long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid == 0) {
    body();
    for (;;) ::pause();
  }
  return static_cast<pid_t>(pid);
}
inline pid_t spawn(const cgroup::Cgroup& cgroup) {
  return spawn(cgroup, [] {});
}

// The signal that ended the child; 0 if it exited by itself.
inline int reap(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return -1;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace coracle::tests
