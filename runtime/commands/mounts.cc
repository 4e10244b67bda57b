#include "runtime/container/mounts.h"

#include <algorithm>

#include "runtime/commands/input.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/commands/mount_table.h"
#include "runtime/commands/table.h"
#include "runtime/log.h"
#include "runtime/messages.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using container::MountChange;
using spec::cat;
using spec::Error;
using store::Container;
using store::Status;

struct MountsOptions {
  std::string_view format = "table";
};

constexpr Option kOptions[] = {
    option<&MountsOptions::format>("format", 'f', "table|json",
                                   "the form of list's output (default: table)"),
};

void check_live(const Container& container) {
  const Status status = container.status();
  if (status == Status::kStopped || status == Status::kCreating)
    throw Error(cat(messages::kNotRunning, ": ", container.id()));
}

void change(const std::string& root, std::string_view id, const std::string& path,
            MountChange what) {
  // Before the lock is taken: whoever writes to the pipe may take his time.
  const auto document = spec::Document::parse_mounts(read_input(path), input_name(path));
  for (const std::string& warning : document.near_misses()) log::warning(warning);
  auto container = Container::open_locked(root, id);
  check_live(container);
  try {
    container::change_mounts(root, container, document, what);
  } catch (Error& error) {
    document.locate(error);
    throw;
  }
}

std::string table(const std::vector<MountedEntry>& entries) {
  std::vector<std::vector<std::string>> rows = {{"DESTINATION", "TYPE", "SOURCE", "OPTIONS"}};
  for (const MountedEntry& e : entries)
    rows.push_back({e.destination, e.type, e.source, e.options});
  return align(rows);
}

std::string json(const std::vector<MountedEntry>& entries) {
  spec::JsonWriter json(spec::JsonStyle::kSpaces);
  json.begin_array();
  for (const MountedEntry& e : entries) {
    json.begin_object().add("destination", e.destination).add("type", e.type);
    json.add("source", e.source).key("options").begin_array();
    std::string_view rest = e.options;
    while (!rest.empty()) {
      const std::string_view option = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), option.size() + 1));
      json.value(option);
    }
    json.end_array().end_object();
  }
  json.end_array();
  return json.take() + "\n";
}

void list(const std::string& root, std::string_view id, std::string_view format) {
  const auto container = Container::open(root, id);
  check_live(container);
  const std::string path = cat("/proc/", container.record().process.pid, "/mountinfo");
  std::string text;
  if (const int r = sys::read_file(sys::At::cwd(), path.c_str(), text)) throw Error(path, r);
  if (!container.pidfd()) throw Error(cat(messages::kNotRunning, ": ", id));  // it was another's
  const std::vector<MountedEntry> entries = parse_mount_table(text);
  print(format == "json" ? json(entries) : table(entries));
}

int mounts(const Globals& globals, const MountsOptions& options, const Words& words) {
  const std::string root = globals.state_root().path;
  const std::string_view what = words[0];
  const bool adds = what == "add";
  if (!adds && what != "remove" && what != "list")
    throw Error(cat("mounts: expected list, add or remove, not ", spec::quoted(what)));
  if ((what == "list") != (words.size() == 2))
    throw Error(what == "list" ? "mounts list: expected ID alone"
                               : cat("mounts ", what, ": expected ID and FILE"));
  if (what == "list") {
    list(root, words[1], options.format);
  } else {
    change(root, words[1], std::string(words[2]), adds ? MountChange::kAdd : MountChange::kRemove);
  }
  return 0;
}

}  // namespace

constexpr Command kMounts = {
    .name = "mounts",
    .arguments = "list|add|remove ID [FILE]",
    .summary = "Show or change the mounts of a running container",
    .details =
        "add mounts what FILE (-: standard input) lists, an array of the form of mounts in "
        "config.json; relative sources begin at the bundle. remove takes the mounts at the "
        "destinations of such a FILE away.",
    .options = kOptions,
    .min_arguments = 2,
    .max_arguments = 3,
    .run = parse_and_run<MountsOptions, mounts>,
};

}  // namespace coracle::commands
