#include "runtime/commands/help.h"
#include "runtime/commands/list_of_commands.h"

namespace coracle::commands {
namespace {

int version(const Globals&, const NoOptions&, const Words&) {
  print(version_text());
  return 0;
}

}  // namespace

constexpr Command kVersion = {
    .name = "version",
    .summary = "Print version information",
    .run = parse_and_run<NoOptions, version>,
};

}  // namespace coracle::commands
