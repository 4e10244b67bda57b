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
    "version", "", "Print version information", "", {}, 0, 0,
    parse_and_run<NoOptions, version>,
};

}  // namespace coracle::commands
