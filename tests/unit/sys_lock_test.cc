#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "runtime/sys/file.h"
#include "runtime/sys/lock.h"
#include "runtime/sys/spawn.h"
#include "runtime/sys/unix_socket.h"
#include "tests/unit/temporary_directory.h"

using coracle::tests::TemporaryDirectory;
namespace sys = coracle::sys;

namespace {

sys::Fd open_dir(const TemporaryDirectory& dir) {
  return sys::open_at(sys::At::cwd(), dir.path().c_str(), O_RDONLY | O_DIRECTORY);
}

}  // namespace

TEST_CASE("lock: the second waits, and gives up in time") {
  TemporaryDirectory dir;
  sys::Fd a = open_dir(dir), b = open_dir(dir);
  CHECK(sys::lock_exclusive(a, 0) == 0);
  CHECK(sys::lock_exclusive(b, 0) == -ETIMEDOUT);
  CHECK(sys::lock_exclusive(b, 30) == -ETIMEDOUT);
  CHECK(sys::unlock(a) == 0);
  CHECK(sys::lock_exclusive(b, 0) == 0);
}

TEST_CASE("lock: the holder is named, and its death frees the lock") {
  TemporaryDirectory dir;
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    sys::Fd mine = open_dir(dir);
    sys::lock_exclusive(mine, 0);
    (void)!write(ready[1], "x", 1);
    for (;;) pause();
  }
  char c;
  REQUIRE(read(ready[0], &c, 1) == 1);
  sys::Fd other = open_dir(dir);
  CHECK(sys::lock_exclusive(other, 0) == -ETIMEDOUT);
  CHECK(sys::lock_holder(other) == child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(sys::lock_exclusive(other, 1000) == 0);
  close(ready[0]);
  close(ready[1]);
}

TEST_CASE("unix socket: a descriptor goes over, also by a path of more than 107 bytes") {
  TemporaryDirectory dir;
  std::string deep = dir.path() + "/" + std::string(120, 'x');
  REQUIRE(sys::mkdir_at(sys::At::cwd(), deep.c_str(), 0700) == 0);
  sys::Fd deep_dir = sys::open_at(sys::At::cwd(), deep.c_str(), O_RDONLY | O_DIRECTORY);
  sys::Fd listening = sys::listen_at(deep_dir, "s", SOCK_STREAM);
  REQUIRE(listening);
  sys::Fd sender = sys::connect_path((deep + "/s").c_str(), SOCK_STREAM);
  REQUIRE(sender);
  sys::Fd accepted(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(sys::send_with_fd(sender, "/dev/pts/0", deep_dir) == 0);

  char text[64];
  iovec part = {text, sizeof(text)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  REQUIRE(recvmsg(accepted.get(), &message, MSG_CMSG_CLOEXEC) == 10);
  CHECK(std::string(text, 10) == "/dev/pts/0");
  REQUIRE(CMSG_FIRSTHDR(&message) != nullptr);
  sys::Fd received(*reinterpret_cast<int*>(CMSG_DATA(CMSG_FIRSTHDR(&message))));
  CHECK(sys::open_at(received, "s", O_PATH));
}

TEST_CASE("unix socket: nobody there") {
  TemporaryDirectory dir;
  sys::Fd fd = open_dir(dir);
  CHECK(sys::connect_at(fd, "none", SOCK_STREAM).error() == ENOENT);
  sys::listen_at(fd, "gone", SOCK_STREAM).reset();
  CHECK(sys::connect_at(fd, "gone", SOCK_STREAM).error() == ECONNREFUSED);
  CHECK(sys::listen_at(fd, "gone", SOCK_STREAM).error() == EADDRINUSE);
}

TEST_CASE("spawn: output and status of a program") {
  std::string output;
  int status = 0;
  CHECK(sys::run_and_read({"sh", "-c", "echo hello; exit 3"}, output, status) == 0);
  CHECK(output == "hello\n");
  CHECK(WEXITSTATUS(status) == 3);
  CHECK(sys::run_and_read({"/no/such/program"}, output, status) == -ENOENT);
}
