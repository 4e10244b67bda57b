#include "runtime/commands/container_cgroup.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/messages.h"
#include "runtime/store/container.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using store::Status;

int pause(const Globals& globals, const NoOptions&, const Words& words) {
  auto container = store::Container::open_locked(globals.state_root().path, words[0]);
  Status status = container.status();
  if (status != Status::kRunning && status != Status::kCreated) {
    throw spec::Error(spec::cat("cannot pause: ", messages::kNotRunning,
                                " or created: ", store::status_name(status)));
  }
  cgroup::freeze(open_cgroup(container.record(), "pause"));
  return 0;
}

}  // namespace

constexpr Command kPause = {
    .name = "pause",
    .arguments = "ID",
    .summary = "Freeze all processes of a container",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<NoOptions, pause>,
};

}  // namespace coracle::commands
