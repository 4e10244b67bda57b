#include "runtime/commands/help.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/host/host_report.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using spec::append;

int info(const Globals& globals, const NoOptions&, const Words&) {
  const spec::HostFacts host = host::report_host(host::this_host());
  std::string out = version_text();
  append(out, "kernel: ", host.kernel, "\nroot: ", globals.state_root().path, "\ncontrollers:");
  for (std::string_view name : host.controllers) append(out, " ", name);
  out += host.controllers.empty() ? " none\n" : "\n";
  for (const auto& [feature, reason] : host.lacks)
    append(out, "lacks ", feature, ": ", reason, "\n");
  print(out);
  return 0;
}

}  // namespace

constexpr Command kInfo = {
    .name = "info",
    .summary = "Show what this is, and what this machine lacks for it",
    .details = "As JSON: coracle features --host.",
    .run = parse_and_run<NoOptions, info>,
};

}  // namespace coracle::commands
