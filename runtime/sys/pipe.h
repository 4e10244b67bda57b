// Pipes, fifos and terminals: the ends of a process's standard streams.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/sys/fd.h"
#include "runtime/sys/file.h"

namespace coracle::sys {

// pipe2(2), both ends blocking. 0 or -errno.
int make_pipe(Fd& reader, Fd& writer);

// O_NONBLOCK of the open file (shared by all copies of the descriptor). 0 or -errno.
int set_blocking(const Fd& file, bool blocking);

// The same file opened anew, with modes and flags of its own. An Fd, or -errno in it. A fifo opened
// for writing needs a reader, or the call waits for one.
Fd reopen(const Fd& file, int flags);

// Moves up to `size` bytes from pipe to pipe without copying them (splice(2)). How many, 0 at the
// end, or -errno; -EAGAIN where the one is empty or the other is full.
int64_t move_bytes(const Fd& from, const Fd& to, size_t size);

// Size of a terminal in characters, by its master (ioctl_tty(2), TIOCSWINSZ). 0 or -errno.
int set_window_size(const Fd& master, uint16_t width, uint16_t height);

}  // namespace coracle::sys
