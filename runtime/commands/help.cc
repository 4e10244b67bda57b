#include "runtime/commands/help.h"

#include <seccomp.h>

#include <algorithm>

#include "spec/documents.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::append;
using spec::cat;

namespace {

constexpr size_t kColumn = 30;  // where the explanations start

// "  -f, --force" or "      --pid-file FILE", padded, then the words.
void append_row(std::string& out, const Option& row) {
  std::string left =
      row.letter ? cat("  -", row.letter, ", --", row.name) : cat("      --", row.name);
  if (row.argument) append(left, " ", row.argument);
  left.resize(std::max(left.size() + 2, kColumn), ' ');
  append(out, left, row.help, "\n");
}

void append_rows(std::string& out, OptionTable table) {
  for (const Option& row : table) {
    if (row.help) append_row(out, row);
  }
  append_row(out, {"help", 'h', nullptr, "show this help", nullptr});
}

}  // namespace

std::string usage_line(const Command& command) {
  std::string options = command.options.size ? " [OPTIONS]" : "";
  std::string arguments = *command.arguments ? cat(" ", command.arguments) : "";
  return cat("coracle ", command.name, options, arguments);
}

std::string help_text(const Command& command) {
  std::string out = cat("Usage: ", usage_line(command), "\n\n", command.summary, ".\n");
  if (*command.details) append(out, command.details, "\n");
  out += "\nOptions:\n";
  append_rows(out, command.options);
  return out;
}

std::string general_help() {
  std::string out =
      "Usage: coracle [GLOBAL OPTIONS] COMMAND [OPTIONS] ARGUMENTS...\n\n"
      "Runs OCI bundles as Linux containers.\n\nCommands:\n";
  for (auto* command = kCommands; *command; ++command) {
    if ((*command)->hidden) continue;
    std::string left = cat("  ", (*command)->name);
    left.resize(14, ' ');
    append(out, left, (*command)->summary, "\n");
  }
  out += "\nGlobal options:\n";
  append_rows(out, kGlobalOptions);
  out += "\n\"coracle COMMAND --help\" tells more of each.\n";
  return out;
}

std::string libseccomp_version() {
  const scmp_version* version = ::seccomp_version();
  return cat(version->major, ".", version->minor, ".", version->micro);
}

std::string version_text() {
  return cat("coracle version ", CORACLE_VERSION, "\nspec: ", spec::kSpecVersion,
             "\nlibseccomp: ", libseccomp_version(), "\n");
}

}  // namespace coracle::commands
