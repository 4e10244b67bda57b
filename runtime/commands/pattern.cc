#include "runtime/commands/pattern.h"

#include <regex.h>

#include "runtime/store/container.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {

using spec::cat;
using spec::Error;

namespace {

class Pattern {
 public:
  explicit Pattern(const std::string& expression) {
    const int r = regcomp(&compiled_, expression.c_str(), REG_EXTENDED | REG_NOSUB);
    if (r == 0) return;
    char words[256];
    regerror(r, &compiled_, words, sizeof(words));
    throw Error(cat("--regex ", spec::quoted(expression), ": ", words));
  }
  ~Pattern() { regfree(&compiled_); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
  bool matches(const std::string& id) const {
    return regexec(&compiled_, id.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t compiled_;
};

}  // namespace

void for_each_match(const store::RootChoice& root, std::string_view expression,
                    const std::function<void(const std::string& id)>& act) {
  const Pattern pattern{std::string(expression)};
  size_t failed = 0;
  std::string reasons;
  for (const std::string& id : store::list_ids(root)) {
    if (!pattern.matches(id)) continue;
    try {
      act(id);
    } catch (const Error& error) {
      spec::append(reasons, failed++ ? "; " : "", id, ": ", error.what());
    }
  }
  if (failed != 0) throw Error(std::move(reasons));
}

}  // namespace coracle::commands
