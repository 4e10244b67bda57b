#include "runtime/commands/create_options.h"
#include "runtime/commands/list_of_commands.h"

namespace coracle::commands {
namespace {

struct PlanOptions {
  std::string_view format = "table";
  std::string_view config = "config.json";
};

constexpr Option kOptions[] = {
    option<&PlanOptions::format>("format", 'f', "table|json",
                                 "the form of the output (default: table)"),
    option<&PlanOptions::config>("config", 0, "FILE",
                                 "configuration in the bundle (default: config.json)"),
};

int plan(const Globals& globals, const PlanOptions& options, const Words& words) {
  CreateOptions create;
  create.bundle = words[0];
  create.config = options.config;
  print(container::plan_bundle(create_request(globals, create, "ID"), options.format));
  return 0;
}

}  // namespace

constexpr Command kPlan = {
    .name = "plan",
    .arguments = "BUNDLE",
    .summary = "Show the steps that create would take, and take none",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<PlanOptions, plan>,
};

}  // namespace coracle::commands
