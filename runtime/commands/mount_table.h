// What is mounted, as /proc/PID/mountinfo tells it (proc_pid_mountinfo(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coracle::commands {

struct MountedEntry {
  std::string destination;  // below the root of the process
  std::string type;
  std::string source;   // of a bind mount: the path in its file system
  std::string options;  // of the mount and of its file system, "ro,nosuid,size=64k"
};

// The lines in their order; those not of that form are passed over.
std::vector<MountedEntry> parse_mount_table(std::string_view text);

}  // namespace coracle::commands
