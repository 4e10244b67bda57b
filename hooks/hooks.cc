#include "hooks/hooks.h"

#include <unistd.h>

#include "hooks/run.h"
#include "spec/error.h"
#include "spec/names.h"
#include "spec/text.h"

namespace coracle::hooks {
namespace {

using spec::cat;
using spec::Error;

Program program_of(const spec::Hook& hook) {
  Program program{std::string(hook.path),
                  {hook.args.begin(), hook.args.end()},
                  {hook.env.begin(), hook.env.end()}};
  if (program.args.empty()) program.args.push_back(program.path);
  if (hook.env.empty())
    for (char** entry = environ; *entry != nullptr; ++entry) program.env.emplace_back(*entry);
  return program;
}

void run_one(const spec::Hook& hook, std::string_view state, const Options& options) {
  Command command;
  command.program = program_of(hook);
  command.directory = options.bundle;
  command.start = options.start;
  command.output_copy = options.output;
  command.error_copy = options.error;
  std::string complaint = run(command, state, hook.timeout.value_or(0));
  if (!complaint.empty()) throw Error(complaint);
}

}  // namespace

std::string_view name_of(Kind kind) { return spec::kHookNames[static_cast<size_t>(kind)]; }

void run_hooks(Kind kind, const std::vector<spec::Hook>& hooks, std::string_view state,
               const Options& options, std::vector<std::string>& warnings) {
  for (size_t i = 0; i < hooks.size(); ++i) {
    try {
      run_one(hooks[i], state, options);
    } catch (Error& error) {
      error.wrap(cat("error running ", name_of(kind), " hook #", i, ": ", hooks[i].path));
      // "If any poststop hook fails, the runtime MUST log a warning, but the remaining hooks and
      // lifecycle continue" (runtime.md).
      if (kind != Kind::kPoststop) throw;
      warnings.emplace_back(error.what());
    }
  }
}

}  // namespace coracle::hooks
