#include "runtime/plan/seccomp.h"

#include <linux/filter.h>

#include <utility>
#include <vector>

#include "runtime/plan/seccomp_profile.h"
#include "runtime/plan/seccomp_tree.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan::seccomp {
Program compile(const spec::LinuxSeccomp& seccomp, Warnings& warnings) {
  Profile profile = resolve(seccomp, warnings);
  Program program;
  program.instructions = make_tree(profile);
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

}  // namespace coracle::plan::seccomp
