#include <doctest/doctest.h>

#include "tests/unit/init_bench.h"

using namespace coracle;
using namespace coracle::tests;

namespace {

struct Lookup : Bench {
  long find(const char* name, const char* search) {
    b.init("", plan::ResolveProgram{b.str(name), search ? b.str(search) : plan::Ref{0}});
    seal();
    return run();
  }
};

}  // namespace

TEST_CASE("the program is found as execvp finds it") {
  const TempDir dir;
  mkdir((dir / "one").c_str(), 0755);
  mkdir((dir / "two").c_str(), 0755);
  mkdir((dir / "one/folder").c_str(), 0755);
  write_file(dir / "one/tool", "", 0644);
  write_file(dir / "two/tool", "", 0755);
  write_file(dir / "one/plain", "", 0644);
  const std::string search = dir / "missing" + ":" + (dir / "one") + ":" + (dir / "two");
  {
    Lookup l;
    CHECK(l.find("tool", search.c_str()) == 0);
    CHECK(dir / "two/tool" == l.c.program);
  }
  {
    Lookup l;
    CHECK(l.find("plain", search.c_str()) == -EACCES);
    CHECK(l.c.program == nullptr);
  }
  {
    Lookup l;
    CHECK(l.find("absent", search.c_str()) == -ENOENT);
    CHECK(std::string(l.c.text) == "absent");
    CHECK(l.c.call == Call::k_access);
  }
  CHECK(Lookup().find("folder", search.c_str()) == -EACCES);
  CHECK(Lookup().find("", search.c_str()) == -ENOENT);
  CHECK(Lookup().find((dir / "one").c_str(), nullptr) == -EISDIR);
  CHECK(Lookup().find((dir / "two/tool").c_str(), nullptr) == 0);
  CHECK(Lookup().find((dir / "one/plain").c_str(), nullptr) == -EACCES);
  CHECK(Lookup().find((dir / "two/none").c_str(), nullptr) == -ENOENT);
  CHECK(Lookup().find((dir / "two/tool/x").c_str(), nullptr) == -ENOTDIR);
  CHECK(Lookup().find("sh", nullptr) == 0);  // without PATH: the usual places
  CHECK(Lookup().find("sh", "/nowhere") == -ENOENT);
  CHECK(Lookup().find(std::string(5000, 'x').c_str(), "/bin") < 0);
  {
    const int line = in_child(0, [&dir] {
      EXPECT(chdir((dir / "two").c_str()) == 0);
      Lookup l;
      EXPECT(l.find("tool", "/nowhere:") == 0);  // an empty entry is the working directory
      EXPECT(strcmp(l.c.program, "./tool") == 0);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("execve with the plan's arguments and environment") {
  {
    const int line = in_child(0, [] {
      const pid_t pid = fork();
      if (pid == 0) {
        Bench bench;
        const auto argv = bench.b.strings(
            {"sh", "-c", "[ \"$A\" = b ] && [ \"$1\" = '' ] && [ \"$0\" = x ] && exit 42", "x",
             ""});
        const auto envp = bench.b.strings({"A=b"});
        bench.b.init("", plan::ResolveProgram{bench.b.str("sh"), {0}});
        bench.b.init("", plan::Execute{argv, envp});
        bench.seal();
        if (bench.run(0) == 0) bench.run(1);
        _exit(1);
      }
      int status = 0;
      EXPECT(waitpid(pid, &status, 0) == pid);
      EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 42);
      return 0;
    });
    CHECK(line == 0);
  }
}

TEST_CASE("an execve that fails says what it tried; a process that is not set fails too") {
  const TempDir dir;
  write_file(dir / "bad", "no binary", 0755);
  {
    const int line = in_child(0, [&dir] {
      Bench bench;
      const auto argv = bench.b.strings({dir / "bad"});
      bench.b.init("", plan::Execute{argv, bench.b.strings({})});
      bench.b.init("", plan::Execute{});
      bench.seal();
      EXPECT(bench.run(0) == -ENOEXEC);
      EXPECT(bench.c.call == Call::k_execve);
      EXPECT(dir / "bad" == bench.c.text);
      EXPECT(bench.run(0) == -ENOEXEC);  // the pointers are made only once
      EXPECT(bench.run(1) == -EINVAL);
      EXPECT(strcmp(bench.c.text, "process is not set") == 0);
      return 0;
    });
    CHECK(line == 0);
  }
}
