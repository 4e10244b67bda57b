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
  std::string out = cat("NAME:\n   coracle ", command.name, " - ", command.summary,
                        "\n\nUSAGE:\n   ", usage_line(command), "\n");
  if (*command.details) append(out, "\n", command.details, "\n");
  out += "\nOPTIONS:\n";
  append_rows(out, command.options);
  return out;
}

std::string general_help() {
  std::string out =
      "NAME:\n   coracle - Open Container Initiative runtime: runs OCI bundles as Linux "
      "containers\n\nUSAGE:\n   coracle [GLOBAL OPTIONS] COMMAND [OPTIONS] "
      "ARGUMENTS...\n\nCOMMANDS:\n";
  for (auto* command = kCommands; *command; ++command) {
    if ((*command)->hidden) continue;
    std::string left = cat("  ", (*command)->name);
    left.resize(14, ' ');
    append(out, left, (*command)->summary, "\n");
  }
  out += "\nGLOBAL OPTIONS:\n";
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
