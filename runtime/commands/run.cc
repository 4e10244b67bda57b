#include "runtime/commands/create_options.h"
#include "runtime/commands/list_of_commands.h"

namespace coracle::commands {
namespace {

constexpr auto kOptions =
    join(kBundleOptions<CreateOptions>, kProcessOptions, kWaitOptions<CreateOptions>);

int run_container(const Globals& globals, const CreateOptions& options, const Words& words) {
  container::CreateRequest request = create_request(globals, options, words[0]);
  request.notify_socket = notify_socket();
  return container::run(request);
}

}  // namespace

constexpr Command kRun = {
    .name = "run",
    .arguments = "ID",
    .summary = "Create a container, start it, wait for its end and delete it",
    .details =
        "The exit status is the program's, or 128 plus the number of the signal that ended it.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<CreateOptions, run_container>,
};

}  // namespace coracle::commands
