// One program, fed and watched to its end by a single poll(2) loop.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/hooks.h"
#include "runtime/sys/program.h"

namespace coracle::hooks {

struct Command {
  Program program;
  std::string directory;                 // its working directory, where `start` is empty
  Start start;                           // who starts it; empty: we do, on the host
  const sys::Fd* output_copy = nullptr;  // what it prints is written there too; null: it is not
  const sys::Fd* error_copy = nullptr;
};

// Runs it with `input` on its standard input. timeout in seconds; 0: none. Returns "" if it ended
// with status 0, else what happened, with the end of its output: "exit status 3: no such bridge".
// Throws spec::Error where we could not even start it.
//
// The end is the program's own, not that of its output: what it left behind may keep the pipes
// open, and then writes into a closed one.
std::string run(const Command& command, std::string_view input, int64_t timeout);

}  // namespace coracle::hooks
