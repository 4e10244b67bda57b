#include "runtime/commands/list_of_commands.h"
#include "runtime/execute/execute.h"
#include "runtime/messages.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

struct DeleteOptions {
  bool force = false;
};

constexpr Option kOptions[] = {
    option<&DeleteOptions::force>("force", 'f', nullptr,
                                  "kill what still runs; a container that is not there is fine"),
};

int delete_container(const Globals& globals, const DeleteOptions& options, const Words& words) {
  auto container = store::Container::open_for_removal(globals.state_root().path, words[0]);
  if (!container && options.force) return 0;
  if (!container) throw spec::Error(spec::cat(messages::kDoesNotExist, ": ", words[0]));
  execute::destroy(*container, options.force);
  return 0;
}

}  // namespace

constexpr Command kDelete = {
    .name = "delete",
    .arguments = "ID",
    .summary = "Remove a stopped container",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<DeleteOptions, delete_container>,
};

}  // namespace coracle::commands
