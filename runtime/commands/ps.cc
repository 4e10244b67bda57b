#include "runtime/commands/ps.h"

#include <sys/wait.h>

#include <algorithm>

#include "runtime/commands/container_cgroup.h"
#include "runtime/commands/list_of_commands.h"
#include "runtime/store/container.h"
#include "runtime/sys/spawn.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::Error;

namespace {

struct PsOptions {
  std::string_view format = "table";
};

constexpr Option kOptions[] = {
    option<&PsOptions::format>("format", 'f', "table|json",
                               "the form of the output; json: an array of pids (default: table)"),
};

// The next word behind blanks, taken off `rest`; "" at the end.
std::string_view next_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  size_t end = std::min(rest.find_first_of(" \t"), rest.size());
  std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

std::string_view next_line(std::string_view& rest) {
  size_t end = std::min(rest.find('\n'), rest.size());
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

std::string_view column(std::string_view line, int index) {
  for (int i = 0; i < index; ++i) next_word(line);
  return next_word(line);
}

int pid_column(std::string_view header) {
  for (int index = 0;; ++index) {
    std::string_view word = next_word(header);
    if (word == "PID") return index;
    if (word.empty()) throw Error("ps: its table has no column PID");
  }
}

std::string run_ps(const Words& words) {
  std::vector<std::string> argv = {"ps"};
  argv.insert(argv.end(), words.begin() + 1, words.end());
  if (argv.size() == 1) argv.push_back("-ef");
  std::string table;
  int status = 0;
  if (int r = sys::run_and_read(argv, table, status)) throw Error("run ps", r);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw Error("ps failed");
  return table;
}

int ps(const Globals& globals, const PsOptions& options, const Words& words) {
  auto container = store::Container::open(globals.state_root().path, words[0]);
  std::vector<pid_t> pids = processes(container.record(), "ps");
  if (options.format == "table") {
    print(filter_ps_table(run_ps(words), pids));
    return 0;
  }
  std::string json;
  for (pid_t pid : pids) spec::append(json, json.empty() ? "" : ",", pid);
  print(spec::cat("[", json, "]\n"));
  return 0;
}

}  // namespace

std::string filter_ps_table(std::string_view table, const std::vector<pid_t>& pids) {
  std::string_view header = next_line(table);
  int index = pid_column(header);
  std::string out = spec::cat(header, "\n");
  while (!table.empty()) {
    std::string_view line = next_line(table);
    auto pid = spec::parse_number(column(line, index), INT32_MAX);
    if (pid && std::binary_search(pids.begin(), pids.end(), static_cast<pid_t>(*pid))) {
      spec::append(out, line, "\n");
    }
  }
  return out;
}

constexpr Command kPs = {
    .name = "ps",
    .arguments = "ID [PS-ARGUMENT]...",
    .summary = "List the processes of a container",
    .details =
        "The table is that of ps(1) with the arguments given (default: -ef), less all other rows.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = -1,
    .run = parse_and_run<PsOptions, ps>,
    .stop_at_first_argument = true,
};

}  // namespace coracle::commands
