// The runtime's own signals, whoever called it.
#pragma once

namespace coracle::sys {

// SIGCHLD at its default, so that the ends of children can be waited for (waitpid(2): ECHILD where
// it is ignored), and no signal blocked. Both are inherited over exec (signal(7)). 0 or -errno.
[[nodiscard]] int own_signals();

}  // namespace coracle::sys
