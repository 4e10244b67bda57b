// Waiting for kernel attribute files that announce changes (cgroup.events, memory.events): the
// file is read, then polled for POLLPRI (cgroup-v2.rst, "cgroup.events").
#pragma once

#include <cstdint>

#include "runtime/sys/fd.h"

namespace coracle::sys {

// CLOCK_MONOTONIC, in milliseconds.
int64_t monotonic_ms();

// Waits until one of the files has changed since it was last read from. A null pointer is no file.
// Returns a set (1: the first, 2: the second), 0 when the time is up, or -errno. timeout_ms < 0:
// for ever.
int wait_changed(const Fd* first, const Fd* second, int timeout_ms);

// Reads an attribute file again from its start. The number of bytes, or -errno; at most size - 1,
// and NUL behind them.
int reread(const Fd& file, char* buffer, int size);

}  // namespace coracle::sys
