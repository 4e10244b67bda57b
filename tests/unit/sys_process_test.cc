#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "runtime/sys/clock.h"
#include "runtime/sys/process.h"

namespace sys = coracle::sys;

namespace {

pid_t make_sleeper() {
  pid_t pid = fork();
  if (pid == 0) {
    for (;;) pause();
  }
  return pid;
}

std::string stat_line(const std::string& name) {
  return "42 (" + name + ") S 7 42 42 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 987654321012 0 0\n";
}

}  // namespace

TEST_CASE("process stat: the name in parentheses may hold anything") {
  for (std::string name : {"sh", "a b", "x) R 1 (", ")", "", "((((", ") Z 9 9 9"}) {
    CAPTURE(name);
    sys::ProcessStat stat;
    REQUIRE(sys::parse_process_stat(stat_line(name).c_str(), stat));
    CHECK(stat.state == 'S');
    CHECK(stat.parent == 7);
    CHECK(stat.start_time == 987654321012u);
  }
}

TEST_CASE("process stat: what is cut short is refused") {
  sys::ProcessStat stat;
  for (const char* text : {"", "42", "42 (sh)", "42 (sh) ", "42 (sh) S 1 2 3"}) {
    CAPTURE(text);
    CHECK_FALSE(sys::parse_process_stat(text, stat));
  }
}

TEST_CASE("process identity: opened by pid and start time") {
  pid_t pid = make_sleeper();
  REQUIRE(pid > 0);
  sys::ProcessStat stat;
  REQUIRE(sys::read_process_stat(pid, stat) == 0);
  CHECK(stat.parent == getpid());
  sys::Fd pidfd = sys::open_process({pid, stat.start_time});
  CHECK(pidfd);
  CHECK(sys::open_process({pid, stat.start_time + 1}).error() == ESRCH);
  CHECK(sys::open_process({0, 0}).error() == ESRCH);
  CHECK(sys::open_process({-1, 0}).error() == ESRCH);

  CHECK(sys::pidfd_wait(pidfd, 0) == 0);
  CHECK(sys::pidfd_send_signal(pidfd, SIGKILL) == 0);
  CHECK(sys::pidfd_wait(pidfd, 5000) == 1);
  CHECK(sys::open_process({pid, stat.start_time}).error() == ESRCH);  // a zombie
  waitpid(pid, nullptr, 0);
  CHECK(sys::open_process({pid, stat.start_time}).error() == ESRCH);
  CHECK(sys::pidfd_send_signal(pidfd, SIGKILL) == -ESRCH);
  CHECK(sys::read_process_stat(pid, stat) == -ESRCH);
}

TEST_CASE("own identity and boot id") {
  sys::ProcessId self;
  REQUIRE(sys::self_id(self) == 0);
  CHECK(self.pid == getpid());
  CHECK(self.start_time > 0);
  char boot[sys::kBootIdSize + 1];
  REQUIRE(sys::read_boot_id(boot) == 0);
  CHECK(std::string(boot).size() == 36);
  CHECK(boot[8] == '-');
}

TEST_CASE("rfc3339: dates around leap days, before 1970, and fractions") {
  CHECK(sys::rfc3339(0, -1) == "1970-01-01T00:00:00Z");
  CHECK(sys::rfc3339(951782400, -1) == "2000-02-29T00:00:00Z");
  CHECK(sys::rfc3339(951868799, 5) == "2000-02-29T23:59:59.000000005Z");
  CHECK(sys::rfc3339(951868800, -1) == "2000-03-01T00:00:00Z");
  CHECK(sys::rfc3339(1798761599, 999999999) == "2026-12-31T23:59:59.999999999Z");
  CHECK(sys::rfc3339(-1, -1) == "1969-12-31T23:59:59Z");
  CHECK(sys::rfc3339(4107542400, -1) == "2100-03-01T00:00:00Z");  // 2100 is no leap year
}
