// Options as tables. A command describes each option once (name, letter, argument, help, and the
// member of its struct that takes the value); parsing, --help, shell completions and the manual's
// OPTIONS all come from the table.
//
//   struct KillOptions { bool all = false; };
//   constexpr Option kOptions[] = {
//       option<&KillOptions::all>("all", 'a', nullptr, "signal every process of the container"),
//   };
//
// An argument "text|json" lists every value that there is: parse_options refuses any other, and
// completions offer these. An empty word leaves such an option as it was, because engines pass on
// options of theirs that were not given.
//
// Rules (those of getopt_long_only(3)): --name VALUE, --name=VALUE, -l VALUE, -lVALUE; one dash in
// front of a long name does as well; "--" ends the options. A flag may be given a value:
// --name=false. Options and arguments may be mixed, unless the command says that the first
// argument ends them (exec, ps, kill; and the global options end at the command).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <array>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

namespace coracle::commands {

using Words = std::vector<std::string_view>;

struct Option {
  const char* name;      // long name
  char letter;           // 0: none
  const char* argument;  // what help calls the value, "a|b|c" if it is one of these; null: a flag
  const char* help;      // null: accepted, but not shown
  // Throws spec::Error with the reason alone ("expected a number").
  void (*set)(void* target, std::string_view value);
};

// A table's view.
struct OptionTable {
  const Option* begin_ = nullptr;
  size_t size = 0;
  constexpr OptionTable() = default;
  template <size_t kSize>
  constexpr OptionTable(const Option (&table)[kSize]) : begin_(table), size(kSize) {}
  template <size_t kSize>
  constexpr OptionTable(const std::array<Option, kSize>& table)
      : begin_(table.data()), size(kSize) {}
  const Option* begin() const { return begin_; }
  const Option* end() const { return begin_ + size; }
};

// Tables one after the other, for commands that share options.
template <size_t... kSizes>
constexpr std::array<Option, (kSizes + ...)> join(const Option (&... tables)[kSizes]) {
  std::array<Option, (kSizes + ...)> joined{};
  size_t used = 0;
  const auto add = [&](const auto& table) {
    for (const Option& option : table) joined[used++] = option;
  };
  (add(tables), ...);
  return joined;
}

// How a value is stored, by the type of the member.
void assign(bool& out, std::string_view value);  // true, false, 1, 0
void assign(std::optional<bool>& out, std::string_view value);
void assign(std::string_view& out, std::string_view value);  // the last one counts
void assign(uint32_t& out, std::string_view value);          // decimal
void assign(Words& out, std::string_view value);             // each one counts
void assign(std::vector<uint32_t>& out, std::string_view value);

template <auto kMember>
struct MemberOf;
template <class Target, class Member, Member Target::*kMember>
struct MemberOf<kMember> {
  static void set(void* target, std::string_view value) {
    assign(static_cast<Target*>(target)->*kMember, value);
  }
  static constexpr bool kIsFlag =
      std::is_same_v<Member, bool> || std::is_same_v<Member, std::optional<bool>>;
};

template <auto kMember>
constexpr Option option(const char* name, char letter, const char* argument, const char* help) {
  using M = MemberOf<kMember>;
  // In a constant expression this is a compile-time check: a flag has no argument, all else has.
  if ((argument == nullptr) != M::kIsFlag) throw "argument and type of the member do not agree";
  return {name, letter, argument, help, M::set};
}

// The same for a member of a base of `Target`, where several commands' structs have that base.
template <typename Target, auto kMember>
constexpr Option option_in(const char* name, char letter, const char* argument, const char* help) {
  Option row = option<kMember>(name, letter, argument, help);
  row.set = [](void* target, std::string_view value) {
    assign(static_cast<Target*>(target)->*kMember, value);
  };
  return row;
}

struct Parsed {
  Words arguments;    // what is not an option; NUL-terminated strings of argv
  bool help = false;  // --help or -h: nothing after it was looked at
  int next = 0;       // index in argv of the first one not looked at
};

// argv[0] is skipped. `target` is the struct of the table's members. Throws spec::Error.
Parsed parse_options(OptionTable table, void* target, int argc, char** argv,
                     bool stop_at_first_argument);

// The words of "a|b|c"; none if `argument` is the name of a value ("FILE").
Words choices(std::string_view argument);

// The name in `names` that `word` was probably meant to be, or "" if none is near.
std::string_view nearest(std::string_view word, const Words& names);

}  // namespace coracle::commands
