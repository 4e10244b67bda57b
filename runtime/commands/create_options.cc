#include "runtime/commands/create_options.h"

#include <stdlib.h>

namespace coracle::commands {

// conmon sends --systemd-cgroup along with --cgroup-manager disabled (podman run
// --cgroups=disabled).
static std::string_view cgroup_manager(const Globals& globals) {
  if (globals.systemd_cgroup && globals.cgroup_manager != "disabled") return "systemd";
  return globals.cgroup_manager;
}

std::string_view notify_socket() {
  const char* value = getenv("NOTIFY_SOCKET");
  return value != nullptr ? value : "";
}

container::CreateRequest create_request(const Globals& globals, const CreateOptions& options,
                                        std::string_view id) {
  store::check_id(id);
  container::CreateRequest request;
  request.root = globals.state_root();
  request.id = id;
  request.bundle = absolute_path(options.bundle);
  request.config_name = options.config;
  request.console_socket = absolute_path(options.console_socket);
  request.pid_file = absolute_path(options.pid_file);
  request.pidfd_socket = absolute_path(options.pidfd_socket);
  request.cgroup_manager = cgroup_manager(globals);
  if (globals.rootless != "auto") request.rootless = globals.rootless == "true";
  request.preserve_fds = options.preserve_fds;
  request.no_pivot = options.no_pivot;
  request.no_new_keyring = options.no_new_keyring;
  request.keep = options.keep;
  request.detach = options.detach;
  request.no_subreaper = options.no_subreaper;
  return request;
}

}  // namespace coracle::commands
