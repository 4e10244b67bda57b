#include "runtime/commands/list_of_commands.h"
#include "runtime/commands/pattern.h"
#include "runtime/container/verbs.h"
#include "runtime/messages.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

struct DeleteOptions {
  bool force = false;
  bool regex = false;
};

constexpr Option kOptions[] = {
    option<&DeleteOptions::force>("force", 'f', nullptr,
                                  "kill what still runs; a container that is not there is fine"),
    option<&DeleteOptions::regex>("regex", 'r', nullptr,
                                  "ID is an extended regular expression: each one that matches"),
};

void delete_one(const std::string& root, std::string_view id, bool force) {
  auto container = store::Container::open_for_removal(root, id);
  if (!container && force) return;
  if (!container) throw spec::Error(spec::cat(messages::kDoesNotExist, ": ", id));
  container::destroy(*container, force);
}

int delete_container(const Globals& globals, const DeleteOptions& options, const Words& words) {
  const store::RootChoice root = globals.state_root();
  if (options.regex) {
    for_each_match(root, words[0],
                   [&](const std::string& id) { delete_one(root.path, id, options.force); });
  } else {
    delete_one(root.path, words[0], options.force);
  }
  return 0;
}

}  // namespace

constexpr Command kDelete = {
    .name = "delete",
    .arguments = "ID",
    .summary = "Remove a stopped container",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = 1,
    .run = parse_and_run<DeleteOptions, delete_container>,
};

}  // namespace coracle::commands
