#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "hooks/hooks.h"
#include "hooks/output.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "tests/unit/hook_bundle.h"

using namespace coracle;
using hooks::Kind;
using tests::Bundle;
using tests::hook;
using tests::run;

namespace {

double seconds(const std::function<void()>& what) {
  auto start = std::chrono::steady_clock::now();
  what();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("hooks run in order, in the bundle, with the state on their input") {
  Bundle b;
  std::string a = b.script("a", "sleep 0.1; echo a >> log; cat >> log; pwd >> log");
  std::string z = b.script("z", "echo z >> log; cat >> log");
  tests::HookResult r =
      run(b, {hook(a), hook(z), hook(a)}, Kind::kCreateRuntime, "{\"id\":\"x\"}\n");
  CHECK(r.error == "");
  CHECK(b.read("log") == "a\n{\"id\":\"x\"}\n" + b.path() +
                             "\nz\n{\"id\":\"x\"}\na\n{\"id\":\"x\"}\n" + b.path() + "\n");
}

TEST_CASE("arguments and environment are those given and no others") {
  Bundle b;
  setenv("CORACLE_LEAK", "1", 1);
  REQUIRE(symlink("/proc/self/environ", b.file("environ").c_str()) == 0);
  std::string show = b.script("show", "printf '%s|' \"$@\" > args; /usr/bin/env > env");
  CHECK(run(b, {hook(show, {"zero", "one", "", "two words"}, {"A=1", "B=x y"})}).error == "");
  CHECK(b.read("args") == "one||two words|");
  std::string env = b.read("env");
  CHECK(env.find("A=1\n") != env.npos);
  CHECK(env.find("B=x y\n") != env.npos);
  CHECK(env.find("CORACLE_LEAK") == env.npos);
  CHECK(run(b, {hook(show)}).error == "");
  CHECK(b.read("env").find("A=") == std::string::npos);
  // No arguments: argv[0] is the path. No environment: that of the runtime.
  CHECK(run(b, {hook("/bin/cat", {"cat", "/proc/self/environ", b.file("args")})}).error == "");
  std::string bare =
      b.script("bare", "tr '\\0' '\\n' < /proc/$$/cmdline > cmd; wc -c < /proc/$$/environ > size");
  CHECK(run(b, {hook(bare)}).error == "");
  CHECK(b.read("cmd") == "/bin/sh\n" + bare + "\n");
  CHECK(b.read("size") != "0\n");
  CHECK(run(b, {hook(b.script("leak", "echo $CORACLE_LEAK > leak"))}).error == "");
  CHECK(b.read("leak") == "1\n");
}

TEST_CASE("nothing of ours reaches a hook") {
  Bundle b;
  int leak = open("/etc/passwd", O_RDONLY);  // not close-on-exec
  REQUIRE(leak > 2);
  signal(SIGUSR1, SIG_IGN);
  sigset_t block, before;
  sigemptyset(&block);
  sigaddset(&block, SIGUSR2);
  sigprocmask(SIG_BLOCK, &block, &before);
  std::string look =
      b.script("look",
               "ls /proc/self/fd > fds; grep -E 'Sig(Blk|Ign)' /proc/self/status > sig\n"
               "echo $$ > pid; cut -d' ' -f5 /proc/$$/stat > group");
  CHECK(run(b, {hook(look, {}, {"PATH=/bin:/usr/bin"})}).error == "");
  signal(SIGUSR1, SIG_DFL);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  close(leak);
  CHECK(b.read("fds") == "0\n1\n2\n3\n");  // 3 is the directory that ls reads
  CHECK(b.read("sig") == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  CHECK(b.read("group") == b.read("pid"));
}

TEST_CASE("a failure names the hook, its place, the status and what it said") {
  Bundle b;
  std::string good = b.script("good", "exit 0");
  std::string bad = b.script("bad", "echo out; echo 'no such bridge' >&2; exit 3");
  std::string quiet = b.script("quiet", "exit 4");
  std::string talk = b.script("talk", "echo hello; exit 5");
  std::string dies = b.script("dies", "kill -9 $$");
  std::string after = b.script("after", "touch after-ran");
  CHECK(run(b, {hook(good), hook(bad), hook(after)}).error ==
        "error running createRuntime hook #1: " + bad +
            ": exit status 3: no such bridge; stdout: out");
  CHECK(b.read("after-ran") == "(no file)");
  CHECK(run(b, {hook(quiet)}, Kind::kPrestart).error ==
        "error running prestart hook #0: " + quiet + ": exit status 4");
  CHECK(run(b, {hook(talk)}, Kind::kPoststart).error ==
        "error running poststart hook #0: " + talk + ": exit status 5: stdout: hello");
  CHECK(run(b, {hook(dies)}).error ==
        "error running createRuntime hook #0: " + dies + ": killed by signal 9 (killed)");
}

TEST_CASE("poststop warns and goes on") {
  Bundle b;
  std::string bad = b.script("bad", "exit 3");
  std::string after = b.script("after", "touch after-ran");
  tests::HookResult r = run(b, {hook(bad), hook("/no/such/hook"), hook(after)}, Kind::kPoststop);
  CHECK(r.error == "");
  REQUIRE(r.warnings.size() == 2);
  CHECK(r.warnings[0] == "error running poststop hook #0: " + bad + ": exit status 3");
  CHECK(
      r.warnings[1] ==
      "error running poststop hook #1: /no/such/hook: execve: No such file or directory (ENOENT)");
  CHECK(b.read("after-ran") == "");
}

TEST_CASE("a program that is missing, not executable, or no program") {
  Bundle b;
  std::string plain = b.script("plain", "exit 0", 0644);
  std::string junk = b.file("junk");
  {
    sys::Fd out = sys::open_at(sys::At::cwd(), junk.c_str(), O_WRONLY | O_CREAT, 0, 0755);
    REQUIRE(sys::write_all(out, "\x01\x02\x03\x04") == 0);
  }
  CHECK(run(b, {hook("/no/such/hook")}).error ==
        "error running createRuntime hook #0: /no/such/hook: execve: No such file or directory "
        "(ENOENT)");
  CHECK(run(b, {hook(plain)}).error ==
        "error running createRuntime hook #0: " + plain + ": execve: Permission denied (EACCES)");
  CHECK(run(b, {hook(junk)}).error ==
        "error running createRuntime hook #0: " + junk + ": execve: Exec format error (ENOEXEC)");
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);  // nothing is left to be waited for
}

TEST_CASE("a timeout kills the hook with its process group, and a daemon lives on") {
  Bundle b;
  std::string slow = b.script("slow", "echo waiting >&2; sleep 60 & echo $! > child; wait");
  spec::Hook h = hook(slow, {}, {"PATH=/bin:/usr/bin"});
  h.timeout = 1;
  std::string error;
  double took = seconds([&] { error = run(b, {h}).error; });
  CHECK(error == "error running createRuntime hook #0: " + slow +
                     ": killed after its timeout of 1 s: waiting");
  CHECK(took > 0.9);
  CHECK(took < 5);
  pid_t child = std::stoi(b.read("child"));
  for (int i = 0; i < 100 && kill(child, 0) == 0; ++i) {  // until whoever adopted it has reaped it
    sys::ProcessStat stat;
    if (sys::read_process_stat(child, stat) < 0 || stat.state == 'Z') break;
    usleep(10000);
  }
  sys::ProcessStat stat;
  CHECK((sys::read_process_stat(child, stat) < 0 || stat.state == 'Z'));

  // The daemon keeps the pipes open: that must not keep us waiting.
  std::string daemon = b.script("daemon", "setsid sleep 60 & echo $! > child; exit 0");
  took = seconds([&] { error = run(b, {hook(daemon, {}, {"PATH=/bin:/usr/bin"})}).error; });
  CHECK(error == "");
  CHECK(took < 5);
  child = std::stoi(b.read("child"));
  CHECK(kill(child, SIGKILL) == 0);
}

TEST_CASE("a timeout is no matter for a hook that is in time") {
  Bundle b;
  std::string quick = b.script("quick", "exit 0");
  spec::Hook h = hook(quick);
  h.timeout = 9'000'000'000'000'000;  // more milliseconds than there are
  CHECK(run(b, {h}).error == "");
  h.timeout = 30;
  CHECK(seconds([&] { CHECK(run(b, {h}).error == ""); }) < 10);
}

TEST_CASE("a lot of output and a lot of input, both ways at once") {
  Bundle b;
  std::string state(3 << 20, 'x');
  std::string loud = b.script(
      "loud",
      "head -c 1048576 /dev/zero | tr '\\0' o; head -c 1048576 /dev/zero | tr '\\0' e >&2\n"
      "wc -c > count; echo the end >&2; exit 7");
  std::string error;
  double took = seconds([&] {
    error = run(b, {hook(loud, {}, {"PATH=/bin:/usr/bin"})}, Kind::kCreateRuntime, state).error;
  });
  CHECK(took < 30);
  CHECK(b.read("count") == "3145728\n");
  CHECK(error.find("error running createRuntime hook #0: " + loud + ": exit status 7: ...eeee") ==
        0);
  CHECK(error.find("e"
                   "the end; stdout: ...oooo") != error.npos);
  CHECK(error.size() < 2 * hooks::kTailSize + 200);
}

TEST_CASE("a hook that does not want its input") {
  Bundle b;
  std::string state(1 << 20, 'x');
  std::string deaf = b.script("deaf", "exec <&-; sleep 0.2; exit 0");
  std::string gone = b.script("gone", "exit 0");
  CHECK(run(b, {hook(deaf, {}, {"PATH=/bin:/usr/bin"}), hook(gone)}, Kind::kCreateRuntime, state)
            .error == "");
  sigset_t pending;
  sigpending(&pending);
  CHECK_FALSE(sigismember(&pending, SIGPIPE));
}

TEST_CASE("with standard descriptors closed in the caller") {
  Bundle b;
  std::string show = b.script("show", "cat > state; echo out; echo err >&2; exit 2");
  pid_t child = fork();
  if (child == 0) {
    close(0);
    close(1);
    close(2);
    std::string error = run(b, {hook(show)}, Kind::kCreateRuntime, "{}").error;
    _exit(error == "error running createRuntime hook #0: " + show +
                       ": exit status 2: err; stdout: out"
              ? 0
              : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(b.read("state") == "{}");
}

TEST_CASE("a hook dies with the runtime") {
  Bundle b;
  std::string wait = b.script("wait", "echo $$ > pid.new; mv pid.new pid; exec sleep 60");
  pid_t child = fork();
  if (child == 0) {
    run(b, {hook(wait, {}, {"PATH=/bin:/usr/bin"})});
    _exit(0);
  }
  while (b.read("pid") == "(no file)") usleep(10000);
  sys::Fd hook_fd = sys::pidfd_open(std::stoi(b.read("pid")));
  REQUIRE(hook_fd);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(sys::pidfd_wait(hook_fd, 5000) == 1);
}

TEST_CASE("Tail: the end, as clean UTF-8") {
  hooks::Tail t;
  t.add("  \n a\tb\nc \n");
  CHECK(t.text() == "a\tb\nc");
  hooks::Tail u;
  u.add("\x1b[31mred \xff\xc3\xa9 \xc2\x9b \xed\xa0\x80 \xe2\x82");
  CHECK(u.text() == "?[31mred ?\xc3\xa9 ? ??? ??");
  hooks::Tail v;
  v.add("start\xc3");
  v.add("\xa9" + std::string(hooks::kTailSize - 1, 'x'));
  CHECK(v.text() == "..." + std::string(hooks::kTailSize - 1, 'x'));
  CHECK(hooks::Tail().text() == "");
}
