#include "hooks/hooks.h"

#include <optional>

#include "hooks/container.h"
#include "hooks/run.h"
#include "spec/error.h"
#include "spec/names.h"
#include "spec/text.h"

namespace coracle::hooks {
namespace {

using spec::cat;
using spec::Error;

void run_one(Kind kind, const spec::Hook& hook, std::string_view state, const Options& options) {
  Command command;
  command.path = hook.path;
  command.args.assign(hook.args.begin(), hook.args.end());
  if (command.args.empty()) command.args.push_back(command.path);
  command.env.assign(hook.env.begin(), hook.env.end());
  if (kind == Kind::kStartContainer && hook.env.empty()) command.env = options.program_env;
  command.directory = kind == Kind::kStartContainer ? "/" : std::string(options.bundle);
  std::optional<Entry> entry;
  if (kind == Kind::kCreateContainer || kind == Kind::kStartContainer) {
    if (!options.container) throw Error("has no container to run in");
    entry.emplace(*options.container, kind == Kind::kStartContainer);
    entry->prepare(command);
  }
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
      run_one(kind, hooks[i], state, options);
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
