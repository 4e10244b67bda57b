#include "runtime/commands/create_options.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/container/verbs.h"

namespace coracle::commands {
namespace {

int start(const Globals& globals, const NoOptions&, const Words& words) {
  container::start(globals.state_root().path, words[0], notify_socket());
  return 0;
}

}  // namespace

constexpr Command kStart = {
    .name = "start",
    .arguments = "ID",
    .summary = "Run the program of a created container",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<NoOptions, start>,
};

}  // namespace coracle::commands
