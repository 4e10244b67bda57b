// The options that create, run and plan share, and the request that they make.
#pragma once

#include <optional>
#include <string_view>

#include "runtime/commands/command.h"
#include "runtime/container/verbs.h"

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

// Where from and what to tell whom: restore has them too. `Target` is the command's struct.
template <typename Target>
inline constexpr Option kBundleOptions[] = {
    option_in<Target, &CreateOptions::bundle>("bundle", 'b', "DIR", "the bundle (default: .)"),
    option_in<Target, &CreateOptions::config>("config", 'f', "FILE",
                                              "configuration in the bundle (default: config.json)"),
    option_in<Target, &CreateOptions::console_socket>(
        "console-socket", 0, "SOCKET", "send the terminal's master side to this Unix socket"),
    option_in<Target, &CreateOptions::pid_file>("pid-file", 0, "FILE",
                                                "write the pid of the first process to FILE"),
    option_in<Target, &CreateOptions::pidfd_socket>("pidfd-socket", 0, "SOCKET",
                                                    "send a pidfd of it to this Unix socket"),
};

inline constexpr Option kProcessOptions[] = {
    option<&CreateOptions::preserve_fds>("preserve-fds", 0, "N",
                                         "hand on N more descriptors, from 3 + LISTEN_FDS on"),
    option<&CreateOptions::no_pivot>("no-pivot", 0, nullptr,
                                     "chroot instead of pivot_root (root on an initramfs)"),
    option<&CreateOptions::no_new_keyring>("no-new-keyring", 0, nullptr,
                                           "keep the caller's session keyring"),
};

// Who waits for the program: run and restore.
template <typename Target>
inline constexpr Option kWaitOptions[] = {
    option_in<Target, &CreateOptions::detach>("detach", 'd', nullptr,
                                              "return as soon as the program runs"),
    option_in<Target, &CreateOptions::keep>("keep", 0, nullptr,
                                            "do not delete the container at the end"),
    option_in<Target, &CreateOptions::no_subreaper>("no-subreaper", 0, nullptr,
                                                    "do not adopt orphans of the container"),
};

std::string_view notify_socket();  // NOTIFY_SOCKET of our environment, or ""

container::CreateRequest create_request(const Globals& globals, const CreateOptions& options,
                                        std::string_view id);

}  // namespace coracle::commands
