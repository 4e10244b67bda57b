#include "runtime/commands/options.h"

#include <getopt.h>

#include <algorithm>
#include <string>

#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::cat;
using spec::Error;

void assign(bool& out, std::string_view value) {
  bool yes = value == "true" || value == "1";
  if (!yes && value != "false" && value != "0") throw Error("expected true or false");
  out = yes;
}

void assign(std::optional<bool>& out, std::string_view value) { assign(out.emplace(), value); }

void assign(std::string_view& out, std::string_view value) { out = value; }

void assign(uint32_t& out, std::string_view value) {
  auto number = spec::parse_number(value, UINT32_MAX);
  if (!number) throw Error("expected a number");
  out = static_cast<uint32_t>(*number);
}

void assign(Words& out, std::string_view value) { out.push_back(value); }

void assign(std::vector<uint32_t>& out, std::string_view value) {
  assign(out.emplace_back(), value);
}

namespace {

constexpr int kFirstLong = 256;  // getopt's value of table row 0; below are letters
constexpr int kHelp = kFirstLong - 1;

// The table in getopt's two forms.
struct GetoptTable {
  GetoptTable(OptionTable table, bool stop_at_first_argument) {
    letters = stop_at_first_argument ? "+:h" : ":h";
    for (const Option& row : table) {
      int value = kFirstLong + static_cast<int>(longs.size());
      longs.push_back(
          {row.name, row.argument ? required_argument : optional_argument, nullptr, value});
      if (row.letter) letters += row.letter;
      if (row.letter && row.argument) letters += ':';
    }
    longs.push_back({"help", no_argument, nullptr, kHelp});
    longs.push_back({});
  }
  std::vector<::option> longs;
  std::string letters;
};

// The row that getopt's value stands for, or null.
const Option* row_of(OptionTable table, int value) {
  if (value >= kFirstLong) return table.begin() + (value - kFirstLong);
  auto has_letter = [value](const Option& row) { return row.letter && row.letter == value; };
  const Option* row = std::find_if(table.begin(), table.end(), has_letter);
  return row == table.end() ? nullptr : row;
}

[[noreturn]] void fail_unknown(OptionTable table, std::string_view word) {
  Words names;
  for (const Option& row : table) names.push_back(row.name);
  std::string_view name = word.substr(0, word.find('='));
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  std::string_view meant = nearest(name, names);
  throw Error(cat("unknown option ", spec::quoted(word), meant.empty() ? "" : "; did you mean --",
                  meant, meant.empty() ? "" : "?"));
}

// Whether the value is to be stored: an empty choice is none.
bool is_chosen(const Option& row, std::string_view value) {
  const Words words = choices(row.argument ? row.argument : "");
  if (words.empty()) return true;
  if (value.empty()) return false;
  if (std::find(words.begin(), words.end(), value) != words.end()) return true;
  std::string all;
  for (std::string_view word : words)
    spec::append(all, all.empty() ? "" : word == words.back() ? " or " : ", ", word);
  throw Error(cat("expected ", all, ", not ", spec::quoted(value)));
}

void store(const Option& row, void* target) {
  try {
    const char* value = ::optarg ? ::optarg : "true";
    if (is_chosen(row, value)) row.set(target, value);
  } catch (Error& error) {
    error.wrap(cat("option --", row.name));
    throw;
  }
}

}  // namespace

Parsed parse_options(OptionTable table, void* target, int argc, char** argv,
                     bool stop_at_first_argument) {
  GetoptTable getopt_table(table, stop_at_first_argument);
  Parsed parsed;
  ::opterr = 0;
  ::optind = 0;  // start anew, and forget a scan of another argv
  for (;;) {
    int value = ::getopt_long_only(argc, argv, getopt_table.letters.c_str(),
                                   getopt_table.longs.data(), nullptr);
    if (value == -1) break;
    if (value == kHelp || value == 'h') {
      parsed.help = true;
      return parsed;
    }
    if (value == '?') {
      bool letter = ::optopt > 0 && ::optopt < kHelp;
      fail_unknown(table, letter ? cat("-", static_cast<char>(::optopt)) : argv[::optind - 1]);
    }
    if (value == ':') {
      const Option* row = row_of(table, ::optopt);
      throw Error(cat("option --", row ? row->name : "", " requires an argument"));
    }
    store(*row_of(table, value), target);
  }
  parsed.next = ::optind;
  for (int i = ::optind; i < argc; ++i) parsed.arguments.push_back(argv[i]);
  return parsed;
}

Words choices(std::string_view argument) {
  std::string_view rest = argument;
  if (rest.find('|') == rest.npos) return {};
  Words words;
  for (size_t end; (end = rest.find('|')) != rest.npos; rest.remove_prefix(end + 1))
    words.push_back(rest.substr(0, end));
  words.push_back(rest);
  return words;
}

// Levenshtein's distance in one row; near is a third of the word, at least one.
static size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::string_view nearest(std::string_view word, const Words& names) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (std::string_view name : names) {
    size_t d = distance(word.substr(0, 64), name);
    if (d < best_distance) {
      best = name;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace coracle::commands
