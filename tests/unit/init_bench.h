// What the tests of runtime/init share: a step runs in a forked child, in namespaces of its own
// where it would change the machine.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "runtime/init/init.h"
#include "runtime/plan/builder.h"

namespace coracle::tests {

using plan::Builder;
using plan::Call;

// In the child: the first line where something was not as expected ends it.
#define EXPECT(condition) \
  if (!(condition)) return __LINE__

// Runs `body` in a child born with these CLONE_NEW* flags. 0 if it returned 0; else the line it
// returned, or -signal.
template <class Body>
int in_child(int flags, Body body) {
  void* memory =
      mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* line = static_cast<int*>(memory);
  *line = -1;
  const long pid = syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) {
    *line = body();
    _exit(0);
  }
  int status = 0;
  waitpid(static_cast<pid_t>(pid), &status, 0);
  const int result = pid < 0 ? -1000 : WIFSIGNALED(status) ? -WTERMSIG(status) : *line;
  munmap(memory, sizeof(int));
  return result;
}

// A plan under construction, then the init that walks it.
struct Bench {
  Builder b;
  std::vector<unsigned char> block;
  plan::Report report{};
  init::Context c{};

  void seal() {
    block = b.finish();
    c.base = block.data();
    c.report = &report;
    c.root = c.procfs = c.mask_tmpfs = c.sync = c.start = -1;
  }
  const plan::Step& step(size_t i) { return plan::View(block.data()).begin()[i]; }
  long run(size_t i = 0) { return init::run_step(c, step(i)); }
};

template <class Payload>
inline long run_one(const Payload& payload) {
  Bench bench;
  bench.b.init("", payload);
  bench.seal();
  return bench.run();
}

inline bool is_root() {
  if (geteuid() == 0) return true;
  MESSAGE("skipped: not root");
  return false;
}

inline std::string read_at(int dir, const char* path) {
  const int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
  char text[4096];
  const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
  close(fd);
  return n < 0 ? "" : std::string(text, static_cast<size_t>(n));
}

inline uint64_t status_field(const char* name) {
  const std::string status = read_at(AT_FDCWD, "/proc/self/status");
  const size_t at = status.find(std::string("\n") + name + ":\t");
  if (at == std::string::npos) return ~uint64_t{0};
  return strtoull(status.c_str() + at + strlen(name) + 3, nullptr, 16);
}

// A directory that is gone with the object.
struct TempDir {
  char path[32] = "/tmp/coracle-init-XXXXXX";
  TempDir() { REQUIRE(mkdtemp(path) != nullptr); }
  ~TempDir() {
    const std::string command = std::string("rm -rf ") + path;
    if (system(command.c_str()) != 0) perror("rm");
  }
  std::string operator/(const char* name) const { return std::string(path) + "/" + name; }
};

inline void write_file(const std::string& path, const char* text, mode_t mode = 0644) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, text, strlen(text)) == static_cast<ssize_t>(strlen(text)));
  REQUIRE(fchmod(fd, mode) == 0);
  close(fd);
}

// A new file system of this type at `path`, which exists.
inline bool mount_fs(const char* type, const char* path, const char* flag = nullptr) {
  const long fs = syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  if (fs < 0) return false;
  if (flag != nullptr && syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, flag, "0666", 0) < 0)
    return false;
  if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return false;
  const long tree = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
  if (tree < 0) return false;
  const long r = syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
  close(static_cast<int>(tree));
  close(static_cast<int>(fs));
  return r == 0;
}

inline bool make_private() {
  struct {
    uint64_t set = 0, clr = 0, propagation = 1 << 18 /* MS_PRIVATE */, userns = 0;
  } attr;
  return syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) == 0;
}

struct Received {
  plan::Message message{};
  int fd = -1;
};

inline Received receive(int socket) {
  Received r;
  iovec vector{&r.message, sizeof(r.message)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  if (recvmsg(socket, &header, MSG_CMSG_CLOEXEC) != sizeof(r.message)) return r;
  if (const cmsghdr* c = CMSG_FIRSTHDR(&header)) memcpy(&r.fd, CMSG_DATA(c), sizeof(int));
  return r;
}

inline bool connect_sync(Bench& bench, int& other) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return false;
  bench.c.sync = pair[0];
  other = pair[1];
  return true;
}

}  // namespace coracle::tests
