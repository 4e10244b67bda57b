#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "runtime/commands/command.h"
#include "runtime/commands/options.h"
#include "spec/error.h"

using coracle::commands::choices;
using coracle::commands::Command;
using coracle::commands::kCommands;
using coracle::commands::kGlobalOptions;
using coracle::commands::nearest;
using coracle::commands::Option;
using coracle::commands::option;
using coracle::commands::OptionTable;
using coracle::commands::parse_options;
using coracle::commands::Parsed;
using coracle::commands::Words;
using coracle::spec::Error;

namespace {

struct Sample {
  bool force = false;
  std::optional<bool> maybe;
  std::string_view file;
  std::string_view format = "text";
  uint32_t number = 0;
  Words words;
  std::vector<uint32_t> numbers;
};

constexpr Option kTable[] = {
    option<&Sample::force>("force", 'f', nullptr, "x"),
    option<&Sample::maybe>("maybe", 0, nullptr, "x"),
    option<&Sample::file>("pid-file", 'p', "FILE", "x"),
    option<&Sample::format>("format", 0, "text|json|table", "x"),
    option<&Sample::number>("number", 'n', "N", "x"),
    option<&Sample::words>("env", 'e', "WORD", "x"),
    option<&Sample::numbers>("gid", 'g', "GID", "x"),
};

struct Outcome {
  Sample sample;
  Words arguments;
  bool help = false;
  int next = 0;
};

Outcome parse(std::vector<const char*> words, bool stop = false) {
  static std::vector<std::vector<char*>> kept;  // views point into argv
  std::vector<char*>& argv = kept.emplace_back();
  words.insert(words.begin(), "command");
  for (const char* word : words) argv.push_back(const_cast<char*>(word));
  int argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  Outcome out;
  Parsed parsed = parse_options(kTable, &out.sample, argc, argv.data(), stop);
  out.arguments = parsed.arguments;
  out.help = parsed.help;
  out.next = parsed.next;
  return out;
}

std::string failure(std::vector<const char*> words) {
  try {
    parse(words);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("options: both forms of a value, and letters") {
  CHECK(parse({"--pid-file", "/x"}).sample.file == "/x");
  CHECK(parse({"--pid-file=/x"}).sample.file == "/x");
  CHECK(parse({"--pid-file="}).sample.file == "");
  CHECK(parse({"-p", "/x"}).sample.file == "/x");
  CHECK(parse({"-p/x"}).sample.file == "/x");
  CHECK(parse({"--pid-file", "/x", "--pid-file=/y"}).sample.file == "/y");
  CHECK(parse({"--pid-file", "-dash"}).sample.file == "-dash");
}

TEST_CASE("options: one dash in front of a long name") {
  CHECK(parse({"-pid-file", "/x"}).sample.file == "/x");
  CHECK(parse({"-pid-file=/x"}).sample.file == "/x");
  CHECK(parse({"-force"}).sample.force);
}

TEST_CASE("options: flags with and without a value") {
  CHECK_FALSE(parse({}).sample.force);
  CHECK(parse({"--force"}).sample.force);
  CHECK(parse({"-f"}).sample.force);
  CHECK(parse({"--force=true"}).sample.force);
  CHECK_FALSE(parse({"--force=false"}).sample.force);
  CHECK_FALSE(parse({"--force", "--force=0"}).sample.force);
  // The next word is not its value.
  Outcome out = parse({"--force", "false"});
  CHECK(out.sample.force);
  CHECK(out.arguments == Words{"false"});
  CHECK_FALSE(parse({}).sample.maybe.has_value());
  CHECK(parse({"--maybe=false"}).sample.maybe == false);
}

TEST_CASE("options: lists and numbers") {
  Outcome out = parse({"-e", "A=1", "-eB=2", "--env=C=3", "-g", "1", "--gid=4294967295"});
  CHECK(out.sample.words == Words{"A=1", "B=2", "C=3"});
  CHECK(out.sample.numbers == std::vector<uint32_t>{1, 4294967295u});
  CHECK(parse({"--number", "7"}).sample.number == 7);
  for (const char* bad :
       {"", "-1", "+1", " 1", "1x", "0x10", "4294967296", "99999999999999999999"}) {
    CAPTURE(bad);
    CHECK(failure({"--number", bad}) == "option --number: expected a number");
  }
}

TEST_CASE("options: one of the values that the table lists") {
  CHECK(parse({}).sample.format == "text");
  CHECK(parse({"--format", "json"}).sample.format == "json");
  CHECK(parse({"--format=json", "--format="}).sample.format == "json");  // "": as it was
  CHECK(failure({"--format", "xml"}) ==
        "option --format: expected text, json or table, not \"xml\"");
  CHECK(failure({"--format", "text|json"}).find("expected") != std::string::npos);
  CHECK(choices("text|json|table") == Words{"text", "json", "table"});
  CHECK(choices("FILE").empty());
}

TEST_CASE("options: mixed with arguments, unless the first argument ends them") {
  Outcome out = parse({"id", "-f", "9"});
  CHECK(out.sample.force);
  CHECK(out.arguments == Words{"id", "9"});
  out = parse({"-f", "id", "ls", "-l", "--force=false"}, true);
  CHECK(out.sample.force);
  CHECK(out.arguments == Words{"id", "ls", "-l", "--force=false"});
  CHECK(out.next == 2);
  out = parse({"--", "-f"});
  CHECK_FALSE(out.sample.force);
  CHECK(out.arguments == Words{"-f"});
}

TEST_CASE("options: mistakes are named") {
  CHECK(failure({"--forse"}) == "unknown option \"--forse\"; did you mean --force?");
  CHECK(failure({"--pidfile=/x"}) == "unknown option \"--pidfile=/x\"; did you mean --pid-file?");
  CHECK(failure({"--colour"}) == "unknown option \"--colour\"");
  CHECK(failure({"-z"}) == "unknown option \"-z\"");
  // Podman recognises these words.
  CHECK(failure({"--pid-file"}) == "option --pid-file requires an argument");
  CHECK(failure({"-p"}) == "option --pid-file requires an argument");
  CHECK(failure({"--force=yes"}) == "option --force: expected true or false");
}

TEST_CASE("options: help ends the scan") {
  CHECK(parse({"--help"}).help);
  CHECK(parse({"-h", "--number", "x"}).help);
  CHECK_FALSE(parse({"--", "--help"}).help);
}

TEST_CASE("nearest: a small slip, nothing more") {
  Words names = {"create", "delete", "state", "start"};
  CHECK(nearest("delet", names) == "delete");
  CHECK(nearest("craete", names) == "create");
  CHECK(nearest("strat", names) == "");
  CHECK(nearest("checkpoint", names) == "");
  CHECK(nearest("", names) == "");
}

TEST_CASE("tables: names and letters are unique, and -h is help's") {
  auto check = [](const char* where, OptionTable table) {
    CAPTURE(where);
    std::set<std::string> names = {"help"};
    std::set<char> letters = {'h'};
    for (const Option& row : table) {
      CAPTURE(row.name);
      CHECK(names.insert(row.name).second);
      if (row.letter) CHECK(letters.insert(row.letter).second);
    }
  };
  check("global", kGlobalOptions);
  std::set<std::string> commands;
  for (auto* command = kCommands; *command; ++command) {
    check((*command)->name, (*command)->options);
    CHECK(commands.insert((*command)->name).second);
  }
}

TEST_CASE("tables: everything engines send is there") {
  struct Row {
    const char* command;
    std::vector<const char*> names;
  };
  const Row rows[] = {
      {"create",
       {"bundle", "pid-file", "console-socket", "pidfd-socket", "no-pivot", "no-new-keyring",
        "preserve-fds", "config", "no-subreaper"}},
      {"run",
       {"bundle", "pid-file", "console-socket", "pidfd-socket", "no-pivot", "no-new-keyring",
        "preserve-fds", "config", "no-subreaper", "detach", "keep"}},
      {"exec",
       {"process", "console-socket", "pidfd-socket", "pid-file", "detach", "tty", "cwd", "env",
        "user", "additional-gids", "cap", "no-new-privs", "apparmor", "process-label",
        "preserve-fds", "cgroup", "ignore-paused"}},
      {"kill", {"all"}},
      {"delete", {"force"}},
      {"list", {"format", "quiet"}},
      {"ps", {"format"}},
      {"spec", {"bundle", "rootless", "file"}},
  };
  auto has = [](OptionTable table, std::string_view name) {
    for (const Option& row : table) {
      if (row.name == name) return true;
    }
    return false;
  };
  for (const Row& row : rows) {
    const Command* command = coracle::commands::find_command(row.command);
    REQUIRE(command != nullptr);
    for (const char* name : row.names) {
      CAPTURE(row.command);
      CAPTURE(name);
      CHECK(has(command->options, name));
    }
  }
  for (const char* name : {"root", "log", "log-format", "log-level", "debug", "cgroup-manager",
                           "systemd-cgroup", "rootless", "version"}) {
    CAPTURE(name);
    CHECK(has(kGlobalOptions, name));
  }
  for (const char* name : {"start", "state", "pause", "resume", "features", "plan", "version"}) {
    CHECK(coracle::commands::find_command(name) != nullptr);
  }
}
