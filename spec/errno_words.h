// What an errno value is called. libc's strerror(3) is not used anywhere: its words differ between
// glibc and musl.
#pragma once

#include <string>
#include <string_view>

namespace coracle::spec {

// "EACCES"; "" for a number that has no name.
std::string_view errno_name(int number);

// "Permission denied (EACCES)"; "Unknown error 4711".
std::string errno_words(int number);

}  // namespace coracle::spec
