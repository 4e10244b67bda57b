#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "runtime/commands/command.h"
#include "runtime/log.h"
#include "spec/error.h"
#include "tests/unit/temporary_directory.h"

using coracle::spec::Error;
using coracle::tests::TemporaryDirectory;

namespace {

// What `coracle WORDS...` would say and return; its standard output is thrown away.
struct Outcome {
  int status = 0;
  std::string words;
};

Outcome run(std::vector<std::string> words) {
  words.insert(words.begin(), "coracle");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  Outcome out;
  int failure_status = -1;
  int saved = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(null, STDOUT_FILENO);
  try {
    int argc = static_cast<int>(words.size());
    out.status = coracle::commands::run(argc, argv.data(), failure_status);
  } catch (const Error& error) {
    out = {failure_status, error.what()};
  }
  dup2(saved, STDOUT_FILENO);
  close(saved);
  close(null);
  coracle::log::configure({});
  return out;
}

bool says(const Outcome& outcome, const char* words) {
  return outcome.words.find(words) != outcome.words.npos;
}

}  // namespace

TEST_CASE("dispatch: usage errors are status 1 (exec: 255), with words that name the mistake") {
  CHECK(run({}).status == 1);
  CHECK(says(run({"kil", "x"}), "unknown command \"kil\"; did you mean kill?"));
  CHECK(says(run({"frobnicate", "--help"}), "No help topic for 'frobnicate': unknown command"));
  CHECK_FALSE(says(run({"frobnicate", "x"}), "No help topic"));
  CHECK(run({"frobnicate", "--help"}).status == 1);
  CHECK(says(run({"kill"}), "usage: coracle kill [OPTIONS] ID [SIGNAL]"));
  CHECK(says(run({"start", "a", "b"}), "unexpected argument"));
  CHECK(run({"exec", "--bogus", "a", "ls"}).status == 255);  // tells it from the command's own 1
  CHECK(says(run({"--log-format", "xml", "list"}), "--log-format"));
  CHECK(says(run({"--log-level", "loud", "list"}), "--log-level"));
  CHECK(says(run({"--cgroup-manager", "mine", "list"}), "--cgroup-manager"));
  CHECK(says(run({"--rootless", "perhaps", "list"}), "--rootless"));
}

TEST_CASE("dispatch: a failing exec is status 255, every other command 1") {
  TemporaryDirectory root;
  CHECK(run({"--root", root.path(), "exec", "nope"}).status == 255);
  CHECK(run({"--root", root.path(), "exec", "--process", "/nonexistent", "nope"}).status == 255);
  CHECK(run({"--root", root.path(), "exec", "-u", "-1", "nope", "ls"}).status == 255);
  CHECK(run({"--root", root.path(), "state", "nope"}).status == 1);
  CHECK(says(run({"--root", root.path(), "state", "nope"}), "container does not exist"));
}

TEST_CASE("dispatch: ids that would leave the state root reach no command") {
  TemporaryDirectory root;
  for (const char* command :
       {"state", "start", "kill", "delete", "pause", "resume", "ps", "create", "run", "exec"}) {
    for (const char* id : {"..", ".", "", "a/b", "a b", "a\nb"}) {
      CAPTURE(command);
      CAPTURE(id);
      std::vector<std::string> words = {"--root", root.path(), command, id};
      if (std::string(command) == "exec") words.push_back("ls");
      CHECK(says(run(words), "invalid container ID format"));
      words.insert(words.begin() + 3, "--force");
      if (std::string(command) == "delete") CHECK(says(run(words), "invalid container ID format"));
    }
  }
}

TEST_CASE("dispatch: systemd is asked for where a container is made, nowhere else") {
  TemporaryDirectory root;
  for (const char* name : {"DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"})
    setenv(name, "unix:path=/nonexistent", 1);
  unsetenv("XDG_RUNTIME_DIR");
  CHECK(run({"spec", "-b", root.path()}).status == 0);
  const char* words = "systemd cgroup manager cannot reach systemd";
  CHECK(says(run({"--systemd-cgroup", "create", "-b", root.path(), "x"}), words));
  CHECK(says(run({"--cgroup-manager=systemd", "run", "-b", root.path(), "x"}), words));
  CHECK(run({"--systemd-cgroup", "--root", root.path(), "delete", "--force", "x"}).status == 0);
  CHECK(run({"--systemd-cgroup", "--root", root.path(), "list"}).status == 0);
}

TEST_CASE("dispatch: deleting what is not there") {
  TemporaryDirectory root;
  CHECK(run({"--root", root.path(), "delete", "-f", "x"}).status == 0);
  CHECK(run({"--root", root.path() + "/none", "delete", "-f", "x"}).status == 0);
  CHECK(says(run({"--root", root.path(), "delete", "x"}), "container does not exist"));
}

TEST_CASE("dispatch: what needs no state root does not look for one") {
  for (const char* command : {"--version", "--help", "version", "features", "help"}) {
    CAPTURE(command);
    CHECK(run({command}).status == 0);
  }
  CHECK(run({"help", "kill"}).status == 0);
  CHECK(run({"kill", "--help"}).status == 0);
  CHECK(says(run({"help", "nothing"}), "unknown command"));
}

TEST_CASE("spec: writes a config.json once, and over a file only when told") {
  TemporaryDirectory bundle;
  CHECK(run({"spec", "-b", bundle.path()}).status == 0);
  CHECK(says(run({"spec", "-b", bundle.path()}), "File exists"));
  std::string file = bundle.path() + "/config.json";
  CHECK(run({"spec", "--rootless", "--file", file}).status == 0);
  std::string text;
  REQUIRE(coracle::sys::read_file(coracle::sys::At::cwd(), file.c_str(), text) == 0);
  CHECK(text.find("uidMappings") != text.npos);
}
