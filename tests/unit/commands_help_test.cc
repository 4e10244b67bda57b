#include <doctest/doctest.h>

#include <string>

#include "runtime/commands/help.h"
#include "spec/error.h"
#include "spec/text.h"

using coracle::commands::Command;
using coracle::commands::general_help;
using coracle::commands::generated;
using coracle::commands::help_text;
using coracle::commands::kCommands;
using coracle::commands::kGlobalOptions;
using coracle::commands::Option;
using coracle::spec::cat;
using coracle::spec::Error;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

template <class Visit>
void for_each_shown_option(Visit visit) {
  for (const Option& row : kGlobalOptions) {
    if (row.help) visit(row);
  }
  for (auto* command = kCommands; *command; ++command) {
    if ((*command)->hidden) continue;
    for (const Option& row : (*command)->options) {
      if (row.help) visit(row);
    }
  }
}

}  // namespace

TEST_CASE("help: every command is in the general help") {
  std::string text = general_help();
  for (auto* command = kCommands; *command; ++command) {
    CAPTURE((*command)->name);
    CHECK(holds(text, cat("\n  ", (*command)->name, " ")) != (*command)->hidden);
  }
}

TEST_CASE("help: a command's help has its usage and its options") {
  const Command& kill = *coracle::commands::find_command("kill");
  CHECK(
      help_text(kill) ==
      "NAME:\n   coracle kill - Send a signal to the first process of a container\n\n"
      "USAGE:\n   coracle kill [OPTIONS] ID [SIGNAL]\n\n"
      "SIGNAL is a name, with or without SIG, or a number; without it, SIGTERM.\n\n"
      "OPTIONS:\n"
      "  -a, --all                   signal every process of the container; none left is fine\n"
      "  -r, --regex                 ID is an extended regular expression: each one that matches\n"
      "  -h, --help                  show this help\n");
}

TEST_CASE("help: what is only accepted is not shown") {
  CHECK_FALSE(holds(help_text(*coracle::commands::find_command("create")), "no-subreaper"));
  CHECK(holds(help_text(*coracle::commands::find_command("run")), "no-subreaper"));
  CHECK_FALSE(holds(help_text(*coracle::commands::find_command("help")), "--format"));
}

TEST_CASE("generated: every shown option is in the manual and in each completion") {
  for (const char* format : {"scdoc", "bash", "zsh", "fish"}) {
    std::string text = generated(format);
    CAPTURE(format);
    bool fish = std::string(format) == "fish";
    for_each_shown_option([&](const Option& row) {
      CAPTURE(row.name);
      CHECK(holds(text, fish ? cat(" -l ", row.name) : cat("--", row.name)));
    });
    for (auto* command = kCommands; *command; ++command) CHECK(holds(text, (*command)->name));
  }
  CHECK_THROWS_AS(generated("perl"), Error);
}

TEST_CASE("generated: nothing that would need more quoting than the generator does") {
  for_each_shown_option([](const Option& row) {
    CAPTURE(row.name);
    CHECK(std::string(row.help).find_first_of("[]\\\n\"`") == std::string::npos);
  });
}

TEST_CASE("version: the first line is what callers split") {
  std::string text = coracle::commands::version_text();
  CHECK(text.starts_with("coracle version "));
  CHECK(holds(text, "\nspec: 1."));
  CHECK(holds(text, "\nlibseccomp: "));
}
