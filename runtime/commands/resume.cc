#include "runtime/commands/container_cgroup.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/store/container.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

int resume(const Globals& globals, const NoOptions&, const Words& words) {
  auto container = store::Container::open_locked(globals.state_root().path, words[0]);
  store::Status status = container.status();
  if (status != store::Status::kPaused) {
    throw spec::Error(
        spec::cat("cannot resume: container not paused: ", store::status_name(status)));
  }
  cgroup::thaw(open_cgroup(container.record(), "resume"));
  return 0;
}

}  // namespace

constexpr Command kResume = {
    .name = "resume",
    .arguments = "ID",
    .summary = "Let the processes of a paused container go on",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<NoOptions, resume>,
};

}  // namespace coracle::commands
