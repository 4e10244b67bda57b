#include "runtime/plan/seccomp.h"

#include <linux/filter.h>
#include <seccomp.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/plan/seccomp_library.h"
#include "runtime/plan/seccomp_profile.h"
#include "runtime/plan/seccomp_tree.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan::seccomp {
namespace {

// Calls newer than libseccomp become unknown ones: without rules, so that they give ENOSYS.
void drop_newer(Profile& profile) {
  std::erase_if(profile.rules, [](const Rule& r) { return r.number == kNotInLibrary; });
  std::erase_if(profile.known, [&profile](std::string_view name) {
    bool drop = seccomp_syscall_resolve_name(name.data()) == __NR_SCMP_ERROR;
    if (drop) profile.unknown.emplace_back(name);
    return drop;
  });
}

}  // namespace

Program compile(const spec::LinuxSeccomp& seccomp, Warnings& warnings) {
  Profile profile = resolve(seccomp, warnings);
  Program program;
  if (std::optional<std::vector<uint64_t>> tree = make_tree(profile)) {
    program.instructions = std::move(*tree);
  } else {
    drop_newer(profile);
    program.instructions = library_program(profile);
    if (wants_enosys(profile)) add_enosys(profile, program.instructions);
  }
  if (program.instructions.size() > BPF_MAXINSNS) {
    throw spec::Error::at("linux.seccomp",
                          spec::cat("the filter has ", program.instructions.size(),
                                    " instructions, the kernel takes ", BPF_MAXINSNS));
  }
  program.flags = profile.flags;
  program.notify = profile.notify;
  program.unknown = std::move(profile.unknown);
  return program;
}

uint32_t library_version() {
  const scmp_version* version = seccomp_version();
  return version->major << 16 | version->minor << 8 | version->micro;
}

}  // namespace coracle::plan::seccomp
