#include "shim/containerd/invocation.h"

#include <cstddef>

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

struct Flag {
  std::string_view name;
  bool Invocation::*truth = nullptr;
  std::string Invocation::*text = nullptr;
};
// What is known but not used has neither.
constexpr Flag kFlags[] = {
    {.name = "namespace", .text = &Invocation::name_space},
    {.name = "address", .text = &Invocation::address},
    {.name = "id", .text = &Invocation::id},
    {.name = "bundle", .text = &Invocation::bundle},
    {.name = "publish-binary"},
    {.name = "socket"},
    {.name = "debug", .truth = &Invocation::debug},
    {.name = "v", .truth = &Invocation::version},
    {.name = "info", .truth = &Invocation::info},
};

const Flag* find(std::string_view name) {
  for (const Flag& flag : kFlags)
    if (flag.name == name) return &flag;
  return nullptr;
}

bool is_action(std::string_view word) { return word == "start" || word == "delete"; }

}  // namespace

Invocation parse_invocation(const std::vector<std::string_view>& words) {
  Invocation out;
  size_t i = 0;
  for (; i < words.size() && words[i].size() > 1 && words[i].starts_with('-'); ++i) {
    std::string_view name = words[i].substr(words[i].starts_with("--") ? 2 : 1);
    const size_t equals = name.find('=');
    const bool has_value = equals != name.npos;
    std::string_view value = has_value ? name.substr(equals + 1) : "";
    name = name.substr(0, equals);
    const Flag* flag = find(name);
    if (flag && flag->truth) {
      out.*flag->truth = !has_value || value == "true" || value == "1";
      continue;
    }
    // Nobody knows whether an unknown one has a value; none looks like a flag or an action.
    const bool more = i + 1 < words.size();
    const bool next_is_value =
        more && (flag || (!words[i + 1].starts_with('-') && !is_action(words[i + 1])));
    if (!has_value && flag && !more) throw Error(cat("flag needs an argument: -", name));
    if (!has_value && next_is_value) value = words[++i];
    if (flag && flag->text) out.*flag->text = value;
  }
  if (i < words.size()) out.action = words[i];
  return out;
}

}  // namespace coracle::shim
