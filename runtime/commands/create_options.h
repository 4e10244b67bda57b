// The options that create, run and plan share, and the request that they make.
#pragma once

#include <optional>
#include <string_view>

#include "runtime/commands/command.h"
#include "runtime/execute/execute.h"

namespace coracle::commands {

struct CreateOptions {
  std::string_view bundle = ".";
  std::string_view config = "config.json";
  std::string_view console_socket;
  std::string_view pid_file;
  std::string_view pidfd_socket;
  uint32_t preserve_fds = 0;
  bool no_pivot = false;
  bool no_new_keyring = false;
  bool no_subreaper = false;
  bool detach = false;  // run
  bool keep = false;    // run
};

inline constexpr Option kSharedOptions[] = {
    option<&CreateOptions::bundle>("bundle", 'b', "DIR", "the bundle (default: .)"),
    option<&CreateOptions::config>("config", 'f', "FILE",
                                   "configuration in the bundle (default: config.json)"),
    option<&CreateOptions::console_socket>("console-socket", 0, "SOCKET",
                                           "send the terminal's master side to this Unix socket"),
    option<&CreateOptions::pid_file>("pid-file", 0, "FILE",
                                     "write the pid of the first process to FILE"),
    option<&CreateOptions::pidfd_socket>("pidfd-socket", 0, "SOCKET",
                                         "send a pidfd of it to this Unix socket"),
    option<&CreateOptions::preserve_fds>("preserve-fds", 0, "N",
                                         "hand on N more descriptors, from 3 + LISTEN_FDS on"),
    option<&CreateOptions::no_pivot>("no-pivot", 0, nullptr,
                                     "chroot instead of pivot_root (root on an initramfs)"),
    option<&CreateOptions::no_new_keyring>("no-new-keyring", 0, nullptr,
                                           "keep the caller's session keyring"),
};

execute::CreateRequest create_request(const Globals& globals, const CreateOptions& options,
                                      std::string_view id);

}  // namespace coracle::commands
