// Shell completions and the manual's part on options, from the tables.
#include "runtime/commands/help.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::append;
using spec::cat;

namespace {

// In single quotes for a shell; `also` are characters that get a backslash.
std::string shell_quoted(std::string_view text, std::string_view also = "") {
  std::string out = "'";
  for (char c : text) {
    if (also.find(c) != also.npos) out += '\\';
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

template <class Visit>
void for_each_command(Visit visit) {
  for (auto* command = kCommands; *command; ++command) {
    if (!(*command)->hidden) visit(**command);
  }
}

template <class Visit>
void for_each_option(OptionTable table, Visit visit) {
  for (const Option& row : table) {
    if (row.help) visit(row);
  }
  visit(Option{"help", 'h', nullptr, "show this help", nullptr});
}

std::string long_names(OptionTable table) {
  std::string out;
  for_each_option(table, [&out](const Option& row) { append(out, " --", row.name); });
  return out;
}

// The words that its argument may be: names that are known here, or the shell's own way to find out
// those of containers. "" for none.
std::string words_for(const Command& command) {
  const std::string_view name = command.name;
  std::string out;
  if (name == "help")
    for_each_command([&out](const Command& c) { append(out, out.empty() ? "" : " ", c.name); });
  if (name == "completion") out = "bash zsh fish";
  const bool makes = name == "create" || name == "run" || name == "restore";
  if (!makes && std::string_view(command.arguments).starts_with("ID"))
    out = "$(coracle list --quiet 2>/dev/null)";
  return out;
}

// ---- bash
// ------------------------------------------------------------------------------------------

std::string bash() {
  std::string names, cases, with_value;
  for_each_command([&](const Command& c) {
    append(names, " ", c.name);
    append(cases, "    ", c.name, ") options=\"", long_names(c.options), "\" words='", words_for(c),
           "' ;;\n");
  });
  for (const Option& row : kGlobalOptions) {
    if (row.argument) append(with_value, with_value.empty() ? "" : "|", "--", row.name);
  }
  return cat(
      "# bash completion for coracle\n"
      "_coracle() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} command= i options words=\n"
      "  local -a globals=()\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case ${COMP_WORDS[i]} in\n"
      "    ",
      with_value,
      ") globals+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i + 1]}\"); ((i++)) ;;\n"
      "    -*) globals+=(\"${COMP_WORDS[i]}\") ;;\n"
      "    *) command=${COMP_WORDS[i]}; break ;;\n"
      "    esac\n"
      "  done\n"
      "  case $command in\n"
      "    '') options=\"",
      long_names(kGlobalOptions),
      "\"\n"
      "      [[ $word == -* ]] || options=\"",
      names, "\" ;;\n", cases,
      "  esac\n"
      "  if [[ -n $command && $word != -* ]]; then\n"
      "    options=$words\n"
      "    [[ $words == '$('* ]] && options=$(coracle \"${globals[@]}\" list --quiet 2>/dev/null)\n"
      "  fi\n"
      "  COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
      "}\n"
      "complete -o default -F _coracle coracle\n");
}

// ---- zsh
// -------------------------------------------------------------------------------------------

std::string zsh_option(const Option& row) {
  // Help texts have no brackets; those of the argument's name are left out.
  std::string argument;
  for (char c : std::string_view(row.argument ? row.argument : "")) {
    if (c != '[' && c != ']' && c != ':') argument += c;
  }
  std::string words = cat("[", row.help, "]", row.argument ? cat(":", argument, ":_files") : "");
  std::string out, quoted = shell_quoted(words);
  if (row.letter) append(out, " \\\n      -", row.letter, quoted);
  append(out, " \\\n      --", row.name, row.argument ? "=" : "", quoted);
  return out;
}

std::string zsh() {
  std::string out = "#compdef coracle\n_coracle() {\n  local -a commands=(\n";
  for_each_command([&](const Command& c) {
    append(out, "    ", shell_quoted(cat(c.name, ":", c.summary)), "\n");
  });
  out += "  )\n  local curcontext=$curcontext state line\n  _arguments -C";
  for_each_option(kGlobalOptions, [&](const Option& row) { out += zsh_option(row); });
  out +=
      " \\\n      '1:command:->command' '*::argument:->argument'\n"
      "  case $state in\n  command) _describe command commands ;;\n"
      "  argument)\n    case $words[1] in\n";
  for_each_command([&](const Command& c) {
    append(out, "    ", c.name, ") _arguments");
    for_each_option(c.options, [&](const Option& row) { out += zsh_option(row); });
    const std::string words = words_for(c);
    if (words.empty()) {
      out += " \\\n      '*:file:_files' ;;\n";
    } else {
      append(out, " \\\n      \"*:word:(", words, ")\" ;;\n");
    }
  });
  out += "    esac ;;\n  esac\n}\n_coracle \"$@\"\n";
  return out;
}

// ---- fish
// ------------------------------------------------------------------------------------------

std::string fish_option(const Option& row, std::string_view condition) {
  std::string letter = row.letter ? cat(" -s ", row.letter) : "";
  return cat("complete -c coracle -n ", shell_quoted(condition), letter, " -l ", row.name,
             row.argument ? " -r" : "", " -d ", shell_quoted(row.help, "\\"), "\n");
}

std::string fish() {
  std::string out = "# fish completion for coracle\ncomplete -c coracle -f\n";
  for_each_option(kGlobalOptions,
                  [&](const Option& row) { out += fish_option(row, "__fish_use_subcommand"); });
  for_each_command([&](const Command& c) {
    append(out, "complete -c coracle -n __fish_use_subcommand -a ", c.name, " -d ",
           shell_quoted(c.summary, "\\"), "\n");
    std::string condition = cat("__fish_seen_subcommand_from ", c.name);
    for_each_option(c.options, [&](const Option& row) { out += fish_option(row, condition); });
    std::string words = words_for(c);
    if (words.starts_with('$')) words.erase(0, 1);  // fish: without the dollar
    if (!words.empty())
      append(out, "complete -c coracle -n ", shell_quoted(condition), " -a '", words, "'\n");
  });
  return out;
}

// ---- scdoc
// -----------------------------------------------------------------------------------------

// scdoc's own characters in running text.
std::string manual_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '_' || c == '*' || c == '\\' || c == '#') out += '\\';
    out += c;
  }
  return out;
}

void append_manual_option(std::string& out, const Option& row) {
  std::string letter = row.letter ? cat("*-", row.letter, "*, ") : "";
  std::string argument = row.argument ? cat(" _", row.argument, "_") : "";
  append(out, letter, "*--", row.name, "*", argument, "\n\t", manual_text(row.help), "\n\n");
}

std::string scdoc() {
  std::string out = "# GLOBAL OPTIONS\n\n";
  for_each_option(kGlobalOptions, [&](const Option& row) { append_manual_option(out, row); });
  out += "# COMMANDS\n\n";
  for_each_command([&](const Command& c) {
    append(out, "## ", manual_text(usage_line(c)), "\n\n", manual_text(c.summary), ".\n");
    if (*c.details) append(out, manual_text(c.details), "\n");
    out += '\n';
    for (const Option& row : c.options) {
      if (row.help) append_manual_option(out, row);
    }
  });
  return out;
}

}  // namespace

std::string generated(std::string_view format) {
  if (format == "bash") return bash();
  if (format == "zsh") return zsh();
  if (format == "fish") return fish();
  if (format == "scdoc") return scdoc();
  throw spec::Error(cat("option --format: unknown format ", spec::quoted(format)));
}

}  // namespace coracle::commands
