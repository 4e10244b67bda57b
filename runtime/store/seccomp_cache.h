// Compiled seccomp programs, kept in the state root: building one takes tens of milliseconds,
// finding it again five system calls.
//
//   ROOT/.seccomp/            0700
//     0123456789abcdef        0600; the name is a hash of the key
//
// A file holds the whole key: the profile byte by byte, what made the program (generation,
// libseccomp, architecture). It is compared in full, so that neither a collision nor a file left
// by another version can ever stand for another profile. A file that is not exactly right, not
// ours, or a symlink counts as missing. The program does not depend on the running kernel
// (plan/seccomp.h), so the kernel's release is no part of the key.
#pragma once

#include <string>

#include "runtime/plan/seccomp.h"
#include "spec/spec.h"

namespace coracle::store {

// As plan::seccomp::compile(), which it calls where nothing is kept, and throws what that throws.
// A cache that cannot be read or written is no error: the program is compiled. A program whose
// making gave a warning is not kept, so that the warning comes again.
plan::seccomp::Program cached_seccomp(const std::string& root, const spec::LinuxSeccomp& profile,
                                      plan::Warnings& warnings);

inline constexpr size_t kMaxCachedFilters = 64;  // the oldest give way

}  // namespace coracle::store
