#include "runtime/commands/help.h"
#include "runtime/commands/list_of_commands.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

struct HelpOptions {
  std::string_view format;
};

constexpr Option kOptions[] = {
    // For the build: completions (bash, zsh, fish) and the manual's options (scdoc).
    option<&HelpOptions::format>("format", 0, "FORMAT", nullptr),
};

int help(const Globals&, const HelpOptions& options, const Words& words) {
  if (!options.format.empty()) return print(generated(options.format)), 0;
  if (words.empty()) return print(general_help()), 0;
  const Command* command = find_command(words[0]);
  if (!command) {
    throw spec::Error(
        spec::cat("No help topic for '", words[0], "': unknown command; coracle --help lists all"));
  }
  print(help_text(*command));
  return 0;
}

}  // namespace

constexpr Command kHelpCommand = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "Explain a command",
    .options = kOptions,
    .max_arguments = 1,
    .run = parse_and_run<HelpOptions, help>,
};

}  // namespace coracle::commands
