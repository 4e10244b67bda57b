// What criu's log says about a failure.
#pragma once

#include <string>
#include <string_view>

namespace coracle::criu {

// The error messages of a criu log, at most `most` of them, the last ones, without time stamps and
// without those that only follow from others ("Dumping FAILED."), joined by "; ". "" if it has
// none. Log lines come out of a container's names as well: control characters are shown as \xNN.
std::string errors_of(std::string_view log, size_t most);

// At most 400 bytes of a text that is not ours, with control characters as \xNN.
std::string printable(std::string_view text);

// errors_of the end of a file (its last 256 KiB); "" if it cannot be read.
std::string errors_of_file(const std::string& path);

}  // namespace coracle::criu
