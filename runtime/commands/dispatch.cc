#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/commands/command.h"
#include "runtime/commands/help.h"
#include "runtime/log.h"
#include "runtime/sys/stdio.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::cat;
using spec::Error;

namespace {

constexpr Option kGlobals[] = {
    option<&Globals::root>("root", 0, "DIR",
                           "state root (default: /run/coracle, or $XDG_RUNTIME_DIR/coracle)"),
    option<&Globals::log>(
        "log", 0, "FILE",
        "append messages to FILE (default: standard error); or journald:NAME, syslog:NAME"),
    option<&Globals::log_format>("log-format", 0, "text|json",
                                 "how messages are written (default: text)"),
    option<&Globals::log_level>("log-level", 0, "error|warning|info|debug",
                                "the least important messages to write (default: warning)"),
    option<&Globals::debug>("debug", 0, nullptr, "the same as --log-level debug"),
    option<&Globals::cgroup_manager>("cgroup-manager", 0, "cgroupfs|systemd|disabled",
                                     "who makes the container's cgroup (default: cgroupfs)"),
    option<&Globals::systemd_cgroup>("systemd-cgroup", 0, nullptr,
                                     "the same as --cgroup-manager systemd"),
    option<&Globals::rootless>(
        "rootless", 0, "true|false|auto",
        "go on without the cgroup where permission is lacking (default: auto)"),
    option<&Globals::version>("version", 'v', nullptr, "print version information"),
};

log::Level level_of(const Globals& globals) {
  if (globals.debug) return log::Level::kDebug;
  std::string_view name = globals.log_level;
  if (name == "error") return log::Level::kError;
  if (name == "info") return log::Level::kInfo;
  return name == "debug" ? log::Level::kDebug : log::Level::kWarning;
}

// --log: a path is made absolute, because nothing is opened yet and `run` may go elsewhere.
void choose_sink(std::string_view given, log::Settings& settings) {
  constexpr std::pair<std::string_view, log::Sink> kSinks[] = {{"journald:", log::Sink::kJournal},
                                                               {"syslog:", log::Sink::kSyslog}};
  for (const auto& [prefix, sink] : kSinks) {
    if (!given.starts_with(prefix)) continue;
    settings.sink = sink;
    settings.name = given.substr(prefix.size());
    if (settings.name.empty() || settings.name.find_first_of("\n: ") != std::string::npos)
      throw Error(cat("option --log: expected ", prefix, "NAME"));
    return;
  }
  if (given.starts_with("file:")) given.remove_prefix(5);
  settings.path = absolute_path(given);
}

void set_up_log(const Globals& globals) {
  log::Settings settings;
  settings.json = globals.log_format == "json";
  settings.level = level_of(globals);
  choose_sink(globals.log, settings);
  log::configure(settings);
  const int r = log::check_sink();
  if (r == 0) return;
  const std::string what = cat("option --log: failed to write to ", globals.log);
  log::configure({"", settings.json, settings.level});  // there is standard error
  throw Error(what, r);
}

// The first words are urfave/cli's, which runc is built on, for who asked for help.
[[noreturn]] void fail_unknown(std::string_view name, bool help) {
  Words names;
  for (auto* command = kCommands; *command; ++command) names.push_back((*command)->name);
  std::string_view meant = nearest(name, names);
  std::string hint = meant.empty() ? "coracle --help lists all" : cat("did you mean ", meant, "?");
  std::string topic = help ? cat("No help topic for '", name, "': ") : "";
  throw Error(cat(topic, "unknown command ", spec::quoted(name), "; ", hint));
}

// A mistake among the global options is reported in the form that those before it ask for.
Parsed parse_globals(Globals& globals, int argc, char** argv) {
  try {
    return parse_options(kGlobals, &globals, argc, argv, true);
  } catch (const Error&) {
    set_up_log(globals);
    throw;
  }
}

bool asks_for_help(int argc, char** argv) {
  return std::any_of(argv, argv + argc,
                     [](std::string_view word) { return word == "-h" || word == "--help"; });
}

}  // namespace

constexpr OptionTable kGlobalOptions = kGlobals;

const Command* find_command(std::string_view name) {
  for (auto* command = kCommands; *command; ++command) {
    if ((*command)->name == name) return *command;
  }
  return nullptr;
}

bool finish_parsing(const Command& command, const Parsed& parsed) {
  if (parsed.help) {
    print(help_text(command));
    return true;
  }
  int count = static_cast<int>(parsed.arguments.size());
  if (count >= command.min_arguments &&
      (command.max_arguments < 0 || count <= command.max_arguments)) {
    return false;
  }
  throw Error(cat(command.name, ": ", count < command.min_arguments ? "missing" : "unexpected",
                  " argument; usage: ", usage_line(command)));
}

int run(int argc, char** argv, int& failure_status) {
  failure_status = 1;
  Globals globals;
  Parsed parsed = parse_globals(globals, argc, argv);
  if (parsed.help) return print(general_help()), 0;
  if (globals.version) return print(version_text()), 0;
  set_up_log(globals);
  if (parsed.arguments.empty()) throw Error("no command given; coracle --help lists all");
  const Command* command = find_command(parsed.arguments[0]);
  if (!command) {
    fail_unknown(parsed.arguments[0], asks_for_help(argc - parsed.next, argv + parsed.next));
  }
  return command->run(*command, globals, argc - parsed.next, argv + parsed.next, failure_status);
}

std::string absolute_path(std::string_view path) {
  if (path.empty()) return "";
  if (path.front() == '/') return spec::clean_path(path);
  char directory[4096];
  if (!::getcwd(directory, sizeof(directory))) throw Error("working directory", errno);
  return spec::clean_path(cat(directory, "/", path));
}

void print(std::string_view text) {
  if (int r = sys::print(text)) throw Error("write to standard output", r);
}

}  // namespace coracle::commands
