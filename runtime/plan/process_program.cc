// The program: its arguments and environment.
#include <algorithm>
#include <unordered_set>

#include "runtime/plan/process.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;

static constexpr size_t kHomeRoom = 512;  // bytes for a home directory, the NUL included

static std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

Environment make_environment(const spec::Process& process, uint32_t listen_fds,
                             std::string_view listen_names) {
  Environment e;
  std::vector<std::string_view> given = process.env;
  if (listen_fds > 0) {
    e.own = {cat("LISTEN_FDS=", listen_fds), "LISTEN_PID=1"};
    if (!listen_names.empty()) e.own.push_back(cat("LISTEN_FDNAMES=", listen_names));
    given.insert(given.end(), e.own.begin(), e.own.end());
  }
  std::unordered_set<std::string_view> seen;
  e.needs_home = true;
  for (size_t i = given.size(); i-- > 0;) {
    const std::string_view name = name_of(given[i]);
    if (!seen.insert(name).second) continue;
    if (name == "HOME") {
      if (given[i] == "HOME=") continue;
      e.needs_home = false;
    }
    e.entries.push_back(given[i]);
  }
  std::reverse(e.entries.begin(), e.entries.end());
  return e;
}

static void lay_out(Builder& b, const Environment& e, Program& out) {
  constexpr std::string_view kPath = "PATH=";
  std::vector<uint64_t> offsets;
  for (std::string_view entry : e.entries) {
    const Ref ref = b.str(entry);
    if (entry.starts_with(kPath)) out.search = {ref.off + static_cast<uint32_t>(kPath.size())};
    offsets.push_back(ref.off);
  }
  if (e.needs_home) {
    std::string home = "HOME=";
    home.append(kHomeRoom - 1, '\0');  // and str() adds the last one
    out.home = b.str(home);
    offsets.push_back(out.home.off);
  }
  offsets.push_back(0);
  out.execute.envp = b.list(offsets);
}

Program add_home_lookup(Draft& d, const spec::Process& process, bool exact) {
  Program program;
  const Environment environment =
      exact ? Environment{process.env, {}, false}
            : make_environment(process, d.host.listen_fds, d.host.listen_names);
  lay_out(d.b, environment, program);
  program.execute.argv = d.b.strings(process.args);
  if (program.home.off != 0)
    d.b.init("process.env",
             FindHome{program.home, static_cast<uint32_t>(kHomeRoom), process.user.uid});
  return program;
}

void add_program_lookup(Draft& d, std::string_view name, const Program& program) {
  d.b.init("process.args[0]", ResolveProgram{d.b.str(name), program.search});
}

}  // namespace coracle::plan
