// Why a program could not be executed. execve(2) has one errno for many causes: ENOENT is said of a
// missing interpreter too, EACCES of a directory, of a missing x bit and of a noexec mount alike.
#pragma once

#include <string>
#include <string_view>

#include "runtime/sys/fd.h"

namespace coracle::engine {

// Looks at `program` below the container's root and says which piece is missing: "" if it has
// nothing to add. `root` is an O_PATH fd (kept by the caller); `program` as given to execve, only
// an absolute path can be looked at; `error` is its errno. Reads files, changes nothing, never
// throws. Seen from outside: what is mounted over the rootfs inside the container is not seen.
std::string diagnose_exec(const sys::Fd& root, std::string_view program, int error);
std::string diagnose_exec(const std::string& rootfs, std::string_view program, int error);

}  // namespace coracle::engine
