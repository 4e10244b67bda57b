// Shell completions and the manual's part on options, from the tables.
#include <algorithm>
#include <vector>

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

// What a shell offers in the place of a value or an argument.
enum class Kind { kNothing, kWords, kFiles, kDirectories, kContainers };
struct Offer {
  Kind kind = Kind::kNothing;
  std::string words = "";  // of kWords, with spaces between
};

std::string joined(const Words& words) {
  std::string out;
  for (std::string_view word : words) append(out, out.empty() ? "" : " ", word);
  return out;
}

// By what the tables call it: "text|json", "FILE", "ID", ...
Offer offer_for(std::string_view name) {
  const Words words = choices(name);
  if (!words.empty()) return {Kind::kWords, joined(words)};
  if (name == "FILE" || name == "SOCKET") return {Kind::kFiles};
  if (name == "DIR" || name == "BUNDLE") return {Kind::kDirectories};
  return {name == "ID" ? Kind::kContainers : Kind::kNothing};
}

Offer offer_for_value(const Option& row) {
  return row.argument ? offer_for(row.argument) : Offer{};
}

// Those of a command's arguments, in their order.
std::vector<Offer> offers_for_arguments(const Command& command) {
  const std::string_view name = command.name;
  std::vector<Offer> offers;
  std::string_view rest = command.arguments;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (word.ends_with("...")) break;  // files, what is offered beyond the last
    if (word.starts_with('[')) word = word.substr(1, word.find(']') - 1);
    offers.push_back(offer_for(word));
  }
  if (name == "create" || name == "run" || name == "restore") offers[0] = {};  // a new name
  if (name == "help") {
    Words names;
    for_each_command([&names](const Command& c) { names.push_back(c.name); });
    offers[0] = {Kind::kWords, joined(names)};
  }
  return offers;
}

// ---- bash
// ------------------------------------------------------------------------------------------

// A kind as the script below calls it.
std::string bash_kind(const Offer& offer) {
  switch (offer.kind) {
    case Kind::kWords:
      return offer.words;
    case Kind::kFiles:
      return "FILES";
    case Kind::kDirectories:
      return "DIRECTORIES";
    case Kind::kContainers:
      return "CONTAINERS";
    case Kind::kNothing:
      break;
  }
  return "NOTHING";
}

// Lines of the case that finds the kind of an option's value.
std::string bash_values(std::string_view command, OptionTable table) {
  std::string out;
  for (const Option& row : table) {
    if (!row.help || !row.argument) continue;
    append(out, "  ", command, ":--", row.name);
    if (row.letter) append(out, "|", command, ":-", row.letter);
    append(out, ") kind=", shell_quoted(bash_kind(offer_for_value(row))), " ;;\n");
  }
  return out;
}

std::string bash_command(const Command& command) {
  std::string kinds;
  for (const Offer& offer : offers_for_arguments(command))
    append(kinds, kinds.empty() ? "" : " ", shell_quoted(bash_kind(offer)));
  return cat("  ", command.name, ") options='", long_names(command.options), "' kinds=(", kinds,
             ") ends=", command.stop_at_first_argument ? 1 : 0, " ;;\n");
}

constexpr char kBashScan[] = R"bash(
# What stands before the cursor: the command, the options before it, the number of its arguments, and
# an option that waits for its value. bash splits --option=VALUE into three words.
_coracle_scan() {
  local i this
  for ((i = 1; i < COMP_CWORD; i++)); do
    this=${COMP_WORDS[i]}
    if [[ $this == = ]]; then
      [[ -n $option ]] || ((i++))
    elif [[ -n $option ]]; then
      [[ -n $command ]] || globals+=("$option" "$this")
      option=
    elif [[ $this == -* ]] && ! ((ends && count)); then
      _coracle_value "$command" "$this" && option=$this
    elif [[ -z $command ]]; then
      command=$this
      _coracle_command "$command"
    else
      ((count++))
    fi
  done
}

# What is offered for a word of this kind. Files are what bash itself offers when nothing else is.
_coracle_offer() {
  case $1 in
  FILES | '') return ;;
  DIRECTORIES) compopt -o plusdirs 2>/dev/null ;;
  CONTAINERS)
    COMPREPLY=($(compgen -W "$(coracle "${globals[@]}" list --quiet 2>/dev/null)" -- "$2"))
    ;;
  NOTHING) ;;
  *) COMPREPLY=($(compgen -W "$1" -- "$2")) ;;
  esac
  compopt +o default 2>/dev/null
}

_coracle() {
  local word=${COMP_WORDS[COMP_CWORD]} command= option= kind= options= count=0 ends=0
  local -a globals=() kinds=()
  COMPREPLY=()
  _coracle_command ''
  _coracle_scan
  [[ $word != = ]] || word=
  if [[ -n $option ]]; then
    _coracle_offer "$kind" "$word"
  elif [[ $word == -* ]] && ! ((ends && count)); then
    _coracle_offer "$options" "$word"
  else
    _coracle_offer "${kinds[count]-}" "$word"
  fi
}
complete -o default -F _coracle coracle
)bash";

std::string bash() {
  std::string names, values = bash_values("", kGlobalOptions), cases;
  for_each_command([&](const Command& c) {
    append(names, " ", c.name);
    values += bash_values(c.name, c.options);
    cases += bash_command(c);
  });
  return cat(
      "# bash completion for coracle\n\n"
      "# The kind of an option's value; false if it has none.\n"
      "_coracle_value() {\n  case $1:$2 in\n",
      values,
      "  *) return 1 ;;\n  esac\n}\n\n"
      "# A command's options, and the kinds of its arguments.\n"
      "_coracle_command() {\n  case $1 in\n  '') options='",
      long_names(kGlobalOptions), "' kinds=('", names, "') ;;\n", cases,
      "  *) options= kinds=() ;;\n  esac\n}\n", kBashScan);
}

// ---- zsh
// -------------------------------------------------------------------------------------------

// The action of a value or an argument, after its name and a colon.
std::string zsh_action(const Offer& offer) {
  switch (offer.kind) {
    case Kind::kWords:
      return cat("(", offer.words, ")");
    case Kind::kFiles:
      return "_files";
    case Kind::kDirectories:
      return "_files -/";
    case Kind::kContainers:
      return "_coracle_containers";
    case Kind::kNothing:
      break;
  }
  return " ";  // the name is shown, nothing is offered
}

std::string zsh_option(const Option& row) {
  // Help texts have no brackets; those of the argument's name are left out.
  std::string argument;
  for (char c : std::string_view(row.argument ? row.argument : "")) {
    if (c != '[' && c != ']' && c != ':') argument += c;
  }
  std::string words = cat("[", row.help, "]");
  if (row.argument) append(words, ":", argument, ":", zsh_action(offer_for_value(row)));
  std::string out, quoted = shell_quoted(words);
  if (row.letter) append(out, " \\\n      -", row.letter, row.argument ? "+" : "", quoted);
  append(out, " \\\n      --", row.name, row.argument ? "=" : "", quoted);
  return out;
}

// A command that ends its options at its first argument has the words of another program after it.
std::string zsh_command(const Command& command) {
  std::string out =
      cat("    ", command.name, ") _arguments", command.stop_at_first_argument ? " -A '-*'" : "");
  for_each_option(command.options, [&](const Option& row) { out += zsh_option(row); });
  int number = 0;
  for (const Offer& offer : offers_for_arguments(command))
    append(out, " \\\n      ", shell_quoted(cat(++number, ":argument:", zsh_action(offer))));
  return out + " \\\n      '*:file:_files' ;;\n";
}

std::string zsh() {
  std::string out =
      "#compdef coracle\n"
      "_coracle_containers() {\n"
      "  local -a ids=(${(f)\"$(coracle $globals list --quiet 2>/dev/null)\"})\n"
      "  _describe container ids\n"
      "}\n"
      "_coracle() {\n  local -a commands=(\n";
  for_each_command([&](const Command& c) {
    append(out, "    ", shell_quoted(cat(c.name, ":", c.summary)), "\n");
  });
  out +=
      "  )\n  local curcontext=$curcontext state line\n  local -A opt_args\n"
      "  local -a globals=()\n  _arguments -C";
  for_each_option(kGlobalOptions, [&](const Option& row) { out += zsh_option(row); });
  out +=
      " \\\n      '1:command:->command' '*::argument:->argument'\n"
      "  [[ -z $opt_args[--root] ]] || globals=(--root $opt_args[--root])\n"
      "  case $state in\n  command) _describe command commands ;;\n"
      "  argument)\n    case $words[1] in\n";
  for_each_command([&](const Command& c) { out += zsh_command(c); });
  out += "    esac ;;\n  esac\n}\n_coracle \"$@\"\n";
  return out;
}

// ---- fish
// ------------------------------------------------------------------------------------------

// What `complete` takes for a value or an argument. -f: no files; without it, files as always.
std::string fish_offer(const Offer& offer) {
  switch (offer.kind) {
    case Kind::kWords:
      return cat(" -f -a ", shell_quoted(offer.words));
    case Kind::kFiles:
      return " -F";
    case Kind::kDirectories:
      return " -f -a '(__fish_complete_directories)'";
    case Kind::kContainers:
      return " -f -a '(coracle list --quiet 2>/dev/null)'";
    case Kind::kNothing:
      break;
  }
  return " -f";
}

std::string fish_option(const Option& row, std::string_view condition) {
  std::string letter = row.letter ? cat(" -s ", row.letter) : "";
  return cat("complete -c coracle -n ", shell_quoted(condition), letter, " -l ", row.name,
             row.argument ? cat(" -r", fish_offer(offer_for_value(row))) : "", " -d ",
             shell_quoted(row.help, "\\"), "\n");
}

// fish does not count arguments: each is offered what any of them may be.
std::string fish_command(const Command& command) {
  std::string out = cat("complete -c coracle -n __fish_use_subcommand -a ", command.name, " -d ",
                        shell_quoted(command.summary, "\\"), "\n");
  const std::string condition = cat("__fish_seen_subcommand_from ", command.name);
  for_each_option(command.options, [&](const Option& row) { out += fish_option(row, condition); });
  for (const Offer& offer : offers_for_arguments(command)) {
    if (offer.kind == Kind::kNothing) continue;
    append(out, "complete -c coracle -n ", shell_quoted(condition), fish_offer(offer), "\n");
  }
  return out;
}

std::string fish() {
  std::string out = "# fish completion for coracle\ncomplete -c coracle -f\n";
  for_each_option(kGlobalOptions,
                  [&](const Option& row) { out += fish_option(row, "__fish_use_subcommand"); });
  for_each_command([&](const Command& c) { out += fish_command(c); });
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
