#include "runtime/container/overrides.h"

#include <algorithm>

#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::container {
namespace {

bool contains(const spec::Strings& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

void add_once(spec::Strings& list, std::string_view word) {
  if (!contains(list, word)) list.push_back(word);
}

// The inheritable set is never touched (CVE-2022-29162: it would turn file capabilities of the
// image into privileges), so ambient grows only as far as that set reaches.
void add_capability(spec::LinuxCapabilities& sets, std::string_view name) {
  if (!spec::capability_number(name)) {
    throw spec::Error(spec::cat("option --cap: unknown capability ", spec::quoted(name)));
  }
  add_once(sets.bounding, name);
  add_once(sets.effective, name);
  add_once(sets.permitted, name);
  if (contains(sets.inheritable, name)) add_once(sets.ambient, name);
}

}  // namespace

spec::Process apply(const Overrides& changes, const spec::Process& base) {
  spec::Process process = base;
  process.terminal = changes.terminal;
  process.consoleSize.reset();  // that of another terminal
  process.args.assign(changes.args.begin(), changes.args.end());
  process.env.insert(process.env.end(), changes.env.begin(), changes.env.end());
  if (!changes.cwd.empty()) process.cwd = changes.cwd;
  if (changes.uid) process.user.uid = *changes.uid;
  if (changes.gid) process.user.gid = *changes.gid;
  auto& gids = process.user.additionalGids;
  gids.insert(gids.end(), changes.additional_gids.begin(), changes.additional_gids.end());
  if (!changes.capabilities.empty() && !process.capabilities) process.capabilities.emplace();
  for (const std::string& name : changes.capabilities) {
    add_capability(*process.capabilities, name);
  }
  if (!changes.apparmor.empty()) process.apparmorProfile = changes.apparmor;
  if (!changes.selinux_label.empty()) process.selinuxLabel = changes.selinux_label;
  if (changes.no_new_privileges) process.noNewPrivileges = *changes.no_new_privileges;
  return process;
}

}  // namespace coracle::container
