#include "runtime/commands/list_of_commands.h"
#include "runtime/store/exit_record.h"
#include "runtime/store/state_document.h"

namespace coracle::commands {
namespace {

int state(const Globals& globals, const NoOptions&, const Words& words) {
  auto container = store::Container::open(globals.state_root().path, words[0]);
  const store::Status status = container.status();
  spec::State document = store::state_of(container.record(), status, "");
  document.systemd_unit = container.record().unit;
  std::optional<store::Exit> exit;
  if (status == store::Status::kStopped) exit = store::load_exit(container);
  spec::StateExit told;
  if (exit) {
    told = {exit->code, exit->signal, exit->oom_killed, exit->time};
    document.exit = &told;
  }
  print(spec::state_json(document, spec::JsonStyle::kSpaces) + "\n");
  return 0;
}

}  // namespace

constexpr Command kState = {
    .name = "state",
    .arguments = "ID",
    .summary = "Show the state of a container as JSON",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<NoOptions, state>,
};

}  // namespace coracle::commands
