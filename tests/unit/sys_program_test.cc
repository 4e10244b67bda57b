#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/process.h"
#include "runtime/sys/program.h"
#include "runtime/sys/unix_socket.h"
#include "tests/unit/temporary_directory.h"

using namespace coracle;

namespace {

// Runs a shell script in this place; what it printed, and its status.
std::string run(const sys::Place& place, const std::string& script, int& status) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const sys::Fd reader(ends[0]);
  sys::Fd writer(ends[1]);
  const sys::Fd null = sys::open_at(sys::At::cwd(), "/dev/null", O_RDWR);
  char* argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"),
                  const_cast<char*>(script.c_str()), nullptr};
  char* envp[] = {const_cast<char*>("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nullptr};
  sys::Program program;
  program.path = "/bin/sh";
  program.argv = argv;
  program.envp = envp;
  program.input = &null;
  program.output = program.error = &writer;
  program.place = &place;
  sys::Started started;
  const int r = sys::start_program(program, started);
  CAPTURE(started.call);
  REQUIRE(r == 0);
  writer.reset();
  std::string text;
  REQUIRE(sys::read_all(reader, text) == 0);
  REQUIRE(waitpid(started.pid, &status, 0) == started.pid);
  return text;
}

}  // namespace

TEST_CASE("program in a place: further descriptors have their numbers, whatever ours were") {
  const sys::Fd zero = sys::open_at(sys::At::cwd(), "/dev/zero", O_RDONLY);
  const sys::Fd full = sys::open_at(sys::At::cwd(), "/dev/full", O_RDONLY);
  const sys::Fd* further[] = {&full, &zero, &full};
  sys::Place place;
  place.further = further;
  place.further_count = 3;
  int status = 0;
  const std::string text =
      run(place, "cd /proc/$$/fd; readlink 3 4 5; for n in 6 7 8 9 10 11 12; do readlink $n; done",
          status);
  CHECK(text == "/dev/full\n/dev/zero\n/dev/full\n");
}

TEST_CASE("program in a place: its process group, and who dies with us") {
  sys::Place place;
  int status = 0;
  CHECK(run(place, "cut -d' ' -f5 /proc/$$/stat | grep -qx $$ && echo own", status) == "own\n");
  place.same_group = true;
  CHECK(run(place, "cut -d' ' -f5 /proc/$$/stat", status) == std::to_string(getpgrp()) + "\n");
}

TEST_CASE("program in a place: a covered directory is covered for it alone") {
  if (geteuid() != 0) return;  // CAP_SYS_ADMIN
  const tests::TemporaryDirectory scratch;
  const std::string from = scratch.path() + "/from", over = scratch.path() + "/over";
  REQUIRE(sys::mkdir_at(sys::At::cwd(), from.c_str(), 0700) == 0);
  REQUIRE(sys::mkdir_at(sys::At::cwd(), over.c_str(), 0700) == 0);
  REQUIRE(sys::open_at(sys::At::cwd(), (from + "/file").c_str(), O_CREAT | O_WRONLY, 0, 0600));
  const sys::Fd tree = sys::slave_clone(from.c_str(), true);
  REQUIRE(tree);
  const sys::Cover cover{&tree, over.c_str()};
  sys::Place place;
  place.unshare = CLONE_NEWNS;
  place.covers = &cover;
  place.cover_count = 1;
  int status = 0;
  CHECK(run(place, "ls " + over + "; grep -c shared: /proc/self/mountinfo", status) == "file\n0\n");
  struct stat st;
  CHECK(sys::stat_at(sys::At::cwd(), (over + "/file").c_str(), st) == -ENOENT);
}

TEST_CASE(
    "program in a place: a cover that cannot be is an error with its call, and nothing runs") {
  if (geteuid() != 0) return;
  const sys::Fd tree = sys::slave_clone("/tmp", false);
  const sys::Cover cover{&tree, "/nonexistent/directory"};
  sys::Place place;
  place.unshare = CLONE_NEWNS;
  place.covers = &cover;
  place.cover_count = 1;
  const sys::Fd null = sys::open_at(sys::At::cwd(), "/dev/null", O_RDWR);
  char* argv[] = {const_cast<char*>("true"), nullptr};
  sys::Program program;
  program.path = "/bin/true";
  program.argv = program.envp = argv;
  program.input = program.output = program.error = &null;
  program.place = &place;
  sys::Started started;
  CHECK(sys::start_program(program, started) == -ENOENT);
  CHECK(started.call == "move_mount");
}

TEST_CASE("unix socket: a message with a descriptor, one without, one too long, the end") {
  sys::Fd one, other, passed;
  REQUIRE(sys::socket_pair(SOCK_SEQPACKET, one, other) == 0);
  const sys::Fd zero = sys::open_at(sys::At::cwd(), "/dev/zero", O_RDONLY);
  char buffer[8];
  REQUIRE(sys::send_with_fd(one, "abc", zero) == 0);
  CHECK(sys::receive_with_fd(other, buffer, sizeof(buffer), passed) == 3);
  std::string path;
  REQUIRE(sys::path_of(passed, path) == 0);
  CHECK(path == "/dev/zero");
  CHECK((fcntl(passed.get(), F_GETFD) & FD_CLOEXEC) != 0);
  REQUIRE(send(one.get(), "de", 2, 0) == 2);
  CHECK(sys::receive_with_fd(other, buffer, sizeof(buffer), passed) == 2);
  CHECK_FALSE(passed);
  REQUIRE(send(one.get(), "123456789", 9, 0) == 9);
  CHECK(sys::receive_with_fd(other, buffer, sizeof(buffer), passed) == -EMSGSIZE);
  one.reset();
  CHECK(sys::receive_with_fd(other, buffer, sizeof(buffer), passed) == 0);
}
