// Text in columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coracle::commands {

// Each column as wide as its widest cell and three blanks, but at least 12; the last is not padded.
std::string align(const std::vector<std::vector<std::string>>& rows);

// The name of a user in the text of a passwd(5) file, or "#UID". Read by hand: the C library would
// load modules for it, which a static program cannot.
std::string user_name(std::string_view passwd, unsigned uid);

}  // namespace coracle::commands
