#pragma once
// Where in a JSON text something is. Used only to word errors, so it may scan from the start.

#include <cstddef>
#include <string>
#include <string_view>

namespace coracle::spec {

struct Position {
  int line = 0;    // from 1
  int column = 0;  // from 1, in bytes
};

Position position_of_offset(std::string_view text, size_t offset);

// The start of the value that `path` names (process.rlimits[2].type, annotations["a.b"]); of the
// nearest enclosing value if it is not there. `text` must be valid JSON.
Position position_of_path(std::string_view text, std::string_view path);

// Appends one object key to a path: .key, or ["key"] where it is not a plain name.
void append_path_key(std::string& path, std::string_view key);

}  // namespace coracle::spec
