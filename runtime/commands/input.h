// Files that are named on the command line.
#pragma once

#include <string>

namespace coracle::commands {

// The whole of a JSON file; "-" is standard input, which stays open. Throws spec::Error.
std::string read_input(const std::string& path);

// What messages call it.
inline std::string input_name(const std::string& path) { return path == "-" ? "stdin" : path; }

}  // namespace coracle::commands
