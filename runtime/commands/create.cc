#include "runtime/commands/create_options.h"
#include "runtime/commands/list_of_commands.h"

namespace coracle::commands {
namespace {

// Sent by callers that know crun.
constexpr Option kOwnOptions[] = {
    option<&CreateOptions::no_subreaper>("no-subreaper", 0, nullptr, nullptr),
};
constexpr auto kOptions = join(kBundleOptions<CreateOptions>, kProcessOptions, kOwnOptions);

int create(const Globals& globals, const CreateOptions& options, const Words& words) {
  container::CreateRequest request = create_request(globals, options, words[0]);
  request.notify_socket = notify_socket();
  container::create(request);
  return 0;
}

}  // namespace

constexpr Command kCreate = {
    .name = "create",
    .arguments = "ID",
    .summary = "Create a container from a bundle; its program runs at start",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<CreateOptions, create>,
};

}  // namespace coracle::commands
