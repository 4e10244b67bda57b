// Against tests/unit/fake_criu.cc, which lies beside this program.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/criu/session.h"
#include "runtime/sys/event.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "tests/unit/temporary_directory.h"

using namespace coracle;
using criu::Kind;

namespace {

std::string fake() {
  std::string path;
  REQUIRE(sys::read_link(sys::At::cwd(), "/proc/self/exe", path) == 0);
  return path.substr(0, path.rfind('/')) + "/fake-criu";
}

struct Bench {
  explicit Bench(const std::string& manner) {
    notes = scratch.path() + "/notes";
    setenv("FAKE_CRIU", (manner + " name=" + notes).c_str(), 1);
    images = sys::open_at(sys::At::cwd(), scratch.path().c_str(), O_RDONLY | O_DIRECTORY);
    options.images_dir = images.get();
    options.log_file = "dump.log";
    log = scratch.path() + "/dump.log";
    start.program = fake();
  }
  ~Bench() { unsetenv("FAKE_CRIU"); }

  // What the request ends in: "" or the words of the error.
  std::string outcome(Kind kind, criu::Patience patience = {}) {
    try {
      criu::Session session(start, patience);
      session.check_version();
      pid = session.perform(kind, options, log, [this](criu::Notice& notice) { listen(notice); });
      return "";
    } catch (const spec::Error& error) {
      return error.what();
    }
  }
  void listen(criu::Notice& notice) {
    scripts.emplace_back(notice.script);
    if (notice.pid != 0) told = notice.pid;
    if (notice.descriptor) terminal = std::move(notice.descriptor);
    if (notice.script == refused) throw spec::Error("the hook does not want it");
  }
  std::string noted() const {
    std::string text;
    sys::read_file(sys::At::cwd(), notes.c_str(), text);
    return text;
  }

  tests::TemporaryDirectory scratch;
  std::string notes, log, refused;
  sys::Fd images;
  criu::Options options;
  criu::Start start;
  std::vector<std::string> scripts;
  pid_t told = 0;
  pid_t pid = 0;
  sys::Fd terminal;
};

bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("criu session: a dump that goes well") {
  Bench bench("");
  bench.options.leave_running = true;
  CHECK(bench.outcome(Kind::kDump) == "");
  CHECK(bench.scripts == List{"pre-dump", "post-dump"});
  CHECK(has(bench.noted(), "request 10\nrequest 1 "));
}

TEST_CASE("criu session: a restore: a child of ours, its pid told before it may run") {
  Bench bench("terminal");
  CHECK(bench.outcome(Kind::kRestore) == "");
  CHECK(bench.scripts ==
        List{"pre-restore", "setup-namespaces", "orphan-pts-master", "post-restore"});
  CHECK(bench.pid > 0);
  CHECK(bench.told == bench.pid);
  CHECK(isatty(bench.terminal.get()) == 1);
  CHECK((fcntl(bench.terminal.get(), F_GETFD) & FD_CLOEXEC) != 0);
  kill(bench.pid, SIGKILL);
  CHECK(waitpid(bench.pid, nullptr, __WALL) == bench.pid);
}

TEST_CASE("criu session: a listener that refuses: criu undoes its work, and the reason comes out") {
  Bench bench("");
  bench.refused = "setup-namespaces";
  CHECK(bench.outcome(Kind::kRestore) == "the hook does not want it");
  CHECK(has(bench.noted(), "request 6 no"));
  REQUIRE(bench.told > 0);
  CHECK(waitpid(bench.told, nullptr, __WALL) == bench.told);  // the fake has killed it
}

TEST_CASE("criu session: a refusal is told with the reasons of answer and log") {
  Bench bench("refuse");
  const std::string words = bench.outcome(Kind::kDump);
  CHECK(words ==
        "criu failed to dump: the answer's reason; mnt: the first reason; net: the last "
        "reason: Invalid argument (EINVAL) (log: " +
            bench.log + ")");
  CHECK(has(bench.outcome(Kind::kRestore), "criu failed to restore: "));
}

TEST_CASE("criu session: answers that are none") {
  for (const char* manner : {"garbage", "short"}) {
    CAPTURE(manner);
    Bench bench(manner);
    CHECK(has(bench.outcome(Kind::kDump), "is not well-formed"));
  }
}

TEST_CASE("criu session: death in the middle is told with status, stderr and log") {
  Bench bench("die");
  std::string words = bench.outcome(Kind::kDump);
  CHECK(has(words, "criu ended with status 3 without an answer"));
  CHECK(has(words, "cannot open shared object file"));
  Bench late("die-late");
  words = late.outcome(Kind::kDump);
  CHECK(has(words, "criu was killed by signal 9 (Killed)"));
}

TEST_CASE("criu session: one that does nothing is killed at the end of our patience") {
  Bench bench("hang");
  const int64_t begin = sys::monotonic_ms();
  CHECK(has(bench.outcome(Kind::kDump, {5000, 500}), "criu does nothing"));
  CHECK(sys::monotonic_ms() - begin < 5000);
}

TEST_CASE("criu session: one whose log grows is at work") {
  Bench bench("busy");
  const int64_t begin = sys::monotonic_ms();
  CHECK(has(bench.outcome(Kind::kDump, {5000, 1500}), "criu does nothing"));
  CHECK(sys::monotonic_ms() - begin > 2000);  // not before the log had stopped
}

TEST_CASE("criu session: version and features") {
  Bench old("version=31500");
  CHECK(old.outcome(Kind::kDump) ==
        "criu 3.15 is too old: checkpoint and restore need 3.16 or newer");
  Bench bench("no-mem-track");
  criu::Session session(bench.start);
  session.check_features(false, true);
  CHECK_THROWS_WITH_AS(session.check_features(true, true), doctest::Contains("--pre-dump"),
                       spec::Error);
}

TEST_CASE("criu session: a program that cannot be started, or is not criu") {
  Bench bench("");
  bench.start.program = "/nonexistent/criu";
  CHECK(has(bench.outcome(Kind::kDump), "starting /nonexistent/criu: execve: No such file"));
  bench.start.program = "/bin/true";
  CHECK(has(bench.outcome(Kind::kDump), "ended with status 0 without an answer"));
}

TEST_CASE("criu session: criu has the descriptors it is given, and none but them") {
  Bench bench("");
  const coracle::sys::Fd stray(open("/dev/zero", O_RDONLY));  // not close-on-exec
  const sys::Fd handed = sys::open_at(sys::At::cwd(), "/dev/full", O_RDWR);
  bench.start.handed = {&handed};
  bench.start.program = bench.scratch.path() + "/lister";
  const std::string script = "#!/bin/sh\nls -l /proc/$$/fd > " + bench.scratch.path() + "/fds\n";
  const sys::Fd file =
      sys::open_at(sys::At::cwd(), bench.start.program.c_str(), O_WRONLY | O_CREAT, 0, 0700);
  REQUIRE(sys::write_all(file, script) == 0);
  const_cast<sys::Fd&>(file).reset();
  CHECK(has(bench.outcome(Kind::kDump), "without an answer"));
  std::string fds;
  REQUIRE(sys::read_file(sys::At::cwd(), (bench.scratch.path() + "/fds").c_str(), fds) == 0);
  CHECK(has(fds, "0 -> /dev/null"));
  CHECK(has(fds, "3 -> socket:"));
  CHECK(has(fds, "4 -> /dev/full"));
  CHECK_FALSE(has(fds, "/dev/zero"));
}

TEST_CASE("criu: found by $PATH, as a file that may be executed") {
  Bench bench("");
  const std::string path = getenv("PATH");
  const std::string folder = bench.scratch.path() + "/bin";
  setenv("PATH", ("relative::" + folder).c_str(), 1);
  CHECK_THROWS_WITH_AS(criu::find(), doctest::Contains("package criu"), spec::Error);
  REQUIRE(sys::mkdir_at(sys::At::cwd(), folder.c_str(), 0700) == 0);
  const std::string program = folder + "/criu";
  const sys::Fd file = sys::open_at(sys::At::cwd(), program.c_str(), O_WRONLY | O_CREAT, 0, 0600);
  CHECK_THROWS_AS(criu::find(), spec::Error);
  REQUIRE(sys::chmod_fd(file, 0700) == 0);
  CHECK(criu::find() == program);
  setenv("PATH", path.c_str(), 1);
}
