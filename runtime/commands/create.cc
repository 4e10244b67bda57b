#include "runtime/commands/create_options.h"
#include "runtime/commands/list_of_commands.h"

namespace coracle::commands {
namespace {

constexpr Option kOptions[] = {
    CORACLE_CREATE_OPTIONS,
    // Sent by callers that know crun.
    option<&CreateOptions::no_subreaper>("no-subreaper", 0, nullptr, nullptr),
};

int create(const Globals& globals, const CreateOptions& options, const Words& words) {
  execute::create(create_request(globals, options, words[0]));
  return 0;
}

}  // namespace

constexpr Command kCreate = {
    "create",
    "ID",
    "Create a container from a bundle; its program runs at start",
    "",
    kOptions,
    1,
    1,
    parse_and_run<CreateOptions, create>,
};

}  // namespace coracle::commands
