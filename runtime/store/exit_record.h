// How a container's first process ended: ROOT/ID/exit.json, beside the record. Only who saw the end
// can tell: the parent that waited for it (`run --keep`, the shim), or a `wait` that held a pidfd
// (Linux 6.15). It is written once and goes with the container.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/store/container.h"

namespace coracle::store {

struct Exit {
  int code = 0;                    // what a shell would say: the exit status, or 128 + signal
  int signal = 0;                  // that killed it; 0: it ended by itself
  std::optional<bool> oom_killed;  // in its cgroup; empty where there is no memory controller
  std::string time;                // RFC 3339, when it was seen
};

// From a wait status as waitpid(2) gives it; the time is now.
Exit exit_of(int wait_status);

// Throws spec::Error at the member whose value no exit has.
void check(const Exit& exit);

// An exit as JSON text, one object, and back. parse_exit throws spec::Error (with line and column)
// if `text` is no such record, or one that check() refuses; `file` is for messages.
std::string to_json(const Exit& exit);
Exit parse_exit(std::string text, std::string_view file);

// Under the lock, or with the container otherwise safe from removal. Throws spec::Error.
void save_exit(const Container& container, const Exit& exit);
// Empty if nobody saw the end (or there was none yet).
std::optional<Exit> load_exit(const Container& container);

}  // namespace coracle::store
