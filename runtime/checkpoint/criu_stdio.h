// The container's stdio: pipes, files and terminals that somebody outside holds the other end of.
// The images name them, and descriptors.json beside the images says which name is whose: an array
// of three strings, for 0, 1 and 2. `restore` puts its own 0, 1 and 2 in their place.
//
//   pipe:[INODE]          a pipe whose other end is outside
//   file[MOUNT:INODE]     a file or named fifo that the container's mounts do not lead to
//                         (hexadecimal, as criu has it)
//   tty[RDEV:DEV]         a terminal that is not the container's own
//   anything else         nothing to reconnect
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

#include "runtime/criu/messages.h"
#include "runtime/sys/fd.h"

namespace coracle::checkpoint {

using Stdio = std::array<std::string, 3>;

// Of the container with these processes; its first process comes first, and where that has turned
// a stream elsewhere, another process that still has it counts. With `terminals` also terminals
// (else criu itself sees to them).
Stdio stdio_of(const std::vector<pid_t>& processes, bool terminals);

// The entries that criu has to be told of before a dump; pipes it finds by itself.
std::vector<std::string> externals_of(const Stdio& stdio);

// Throw spec::Error. An image directory without the file has nothing to reconnect.
void write_stdio(const sys::Fd& images, const Stdio& stdio);
Stdio read_stdio(const sys::Fd& images);

// True if the entry is to be reconnected.
bool is_reconnected(const std::string& entry);

}  // namespace coracle::checkpoint
