#include "runtime/commands/list_of_commands.h"
#include "runtime/commands/table.h"
#include "runtime/log.h"
#include "runtime/store/state_document.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::cat;
using spec::Error;

namespace {

struct ListOptions {
  std::string_view format = "table";
  bool quiet = false;
};

constexpr Option kOptions[] = {
    option<&ListOptions::format>("format", 'f', "table|json",
                                 "the form of the output (default: table)"),
    option<&ListOptions::quiet>("quiet", 'q', nullptr, "only the ids"),
};

struct Entry {
  store::Record record;
  store::Status status;
};

// One that cannot be read, or that is deleted meanwhile, must not hide the others.
std::vector<Entry> read_all(const std::string& root, const std::vector<std::string>& ids) {
  std::vector<Entry> entries;
  for (const std::string& id : ids) {
    try {
      auto container = store::Container::open(root, id);
      entries.push_back({container.record(), container.status()});
    } catch (const Error& error) {
      log::warning(cat("list: ", error.what()));
    }
  }
  return entries;
}

// Without the file, or with one that cannot be read, the numbers are shown.
std::string passwd() {
  std::string text;
  if (sys::read_file(sys::At::cwd(), "/etc/passwd", text)) text.clear();
  return text;
}

std::string table(const std::vector<Entry>& entries) {
  std::vector<std::vector<std::string>> rows = {
      {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  std::string users = passwd();
  for (const auto& [record, status] : entries) {
    int pid = status == store::Status::kStopped ? 0 : record.process.pid;
    rows.push_back({record.id, cat(pid), std::string(store::status_name(status)), record.bundle,
                    record.created, user_name(users, record.owner)});
  }
  return align(rows);
}

std::string json(const std::vector<Entry>& entries) {
  std::string users = passwd();
  std::vector<std::string> owners;
  owners.reserve(entries.size());
  for (const Entry& entry : entries) owners.push_back(user_name(users, entry.record.owner));
  std::vector<spec::State> states;
  states.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    states.push_back(store::state_of(entries[i].record, entries[i].status, owners[i]));
  }
  return spec::list_json(states) + "\n";
}

int list(const Globals& globals, const ListOptions& options, const Words&) {
  store::RootChoice root = globals.state_root();
  std::vector<std::string> ids = store::list_ids(root);
  if (options.quiet) {
    std::string out;
    for (const std::string& id : ids) spec::append(out, id, "\n");
    return print(out), 0;
  }
  std::vector<Entry> entries = read_all(root.path, ids);
  print(options.format == "json" ? json(entries) : table(entries));
  return 0;
}

}  // namespace

constexpr Command kList = {
    .name = "list",
    .summary = "List the containers",
    .options = kOptions,
    .run = parse_and_run<ListOptions, list>,
};

}  // namespace coracle::commands
