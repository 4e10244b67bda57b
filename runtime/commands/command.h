// What a command is: a row of data and a function. commands.cc lists them all; dispatch.cc finds
// the one asked for, parses its options and calls it.
#pragma once

#include <string>
#include <string_view>

#include "runtime/commands/options.h"
#include "runtime/store/root.h"

namespace coracle::commands {

// The options before the command.
struct Globals {
  std::string_view root;  // as given, "" for the default; see state_root()
  std::string_view log;
  std::string_view log_format = "text";
  std::string_view log_level = "warning";
  std::string_view cgroup_manager = "cgroupfs";
  std::string_view rootless = "auto";
  bool debug = false;
  bool systemd_cgroup = false;
  bool version = false;

  store::RootChoice state_root() const { return store::find_root(root); }
};
extern const OptionTable kGlobalOptions;

struct Command {
  const char* name;
  const char* arguments = "";  // as in the usage line: "ID [SIGNAL]"
  const char* summary;         // one line, for the list of commands
  const char* details = "";    // further sentences for help and manual; ""
  OptionTable options = {};
  int min_arguments = 0;
  int max_arguments = 0;  // -1: any number
  // Parses argv (argv[0] is the command's name) and does it; the program's exit status. For an
  // exception it is in `failure_status`, the command's own.
  int (*run)(const Command& self, const Globals& globals, int argc, char** argv,
             int& failure_status);
  bool stop_at_first_argument = false;
  bool hidden = false;
  int failure_status = 1;
};

// Checks the number of arguments and answers --help. True: there is nothing more to do.
bool finish_parsing(const Command& command, const Parsed& parsed);

// The usual Command::run: options into a struct, then the handler.
template <class Options, int (*kHandler)(const Globals&, const Options&, const Words&)>
int parse_and_run(const Command& self, const Globals& globals, int argc, char** argv,
                  int& failure_status) {
  failure_status = self.failure_status;
  Options options;
  Parsed parsed = parse_options(self.options, &options, argc, argv, self.stop_at_first_argument);
  if (finish_parsing(self, parsed)) return 0;
  return kHandler(globals, options, parsed.arguments);
}

struct NoOptions {};

// All commands in the order of the help text; null-terminated.
extern const Command* const kCommands[];
const Command* find_command(std::string_view name);  // null if there is none

// Does what the command line says and returns the exit status. Throws spec::Error; the status for
// that case is in `failure_status`.
int run(int argc, char** argv, int& failure_status);

// "PATH" made absolute against the working directory; "" stays "".
std::string absolute_path(std::string_view path);

// Writes to standard output; throws if that fails.
void print(std::string_view text);

}  // namespace coracle::commands
