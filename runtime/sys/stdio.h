// Standard input, output and error, without buffers.
#pragma once

#include <string_view>

namespace coracle::sys {

// Opens /dev/null in the place of any of 0, 1, 2 that is closed, so that no file of ours gets such
// a number and is then written to by mistake. One poll(2) if all are open. 0 or -errno.
int fill_standard_fds();

// Writes everything. 0 or -errno.
int print(std::string_view text);
// To stderr; an error is ignored: there is nowhere left to tell of it.
void print_error(std::string_view text);

}  // namespace coracle::sys
