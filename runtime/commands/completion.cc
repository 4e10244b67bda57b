#include <algorithm>

#include "runtime/commands/help.h"
#include "runtime/commands/list_of_commands.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

int completion(const Globals&, const NoOptions&, const Words& words) {
  const std::string_view shell = words[0];
  const Words shells = choices(kCompletion.arguments);
  if (std::find(shells.begin(), shells.end(), shell) == shells.end())
    throw spec::Error(
        spec::cat("completion: unknown shell ", spec::quoted(shell), "; bash, zsh or fish"));
  print(generated(shell));
  return 0;
}

}  // namespace

constexpr Command kCompletion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Print the completion of command lines for bash, zsh or fish",
    .details = "For one session of bash: source <(coracle completion bash).",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<NoOptions, completion>,
};

}  // namespace coracle::commands
