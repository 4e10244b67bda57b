#include "runtime/commands/create_options.h"
#include "runtime/commands/list_of_commands.h"

namespace coracle::commands {
namespace {

constexpr Option kOptions[] = {
    CORACLE_CREATE_OPTIONS,
    option<&CreateOptions::detach>("detach", 'd', nullptr, "return as soon as the program runs"),
    option<&CreateOptions::keep>("keep", 0, nullptr, "do not delete the container at the end"),
    option<&CreateOptions::no_subreaper>("no-subreaper", 0, nullptr,
                                         "do not adopt orphans of the container"),
};

int run_container(const Globals& globals, const CreateOptions& options, const Words& words) {
  return execute::run(create_request(globals, options, words[0]));
}

}  // namespace

constexpr Command kRun = {
    "run",
    "ID",
    "Create a container, start it, wait for its end and delete it",
    "The exit status is the program's, or 128 plus the number of the signal that ended it.",
    kOptions,
    1,
    1,
    parse_and_run<CreateOptions, run_container>,
};

}  // namespace coracle::commands
