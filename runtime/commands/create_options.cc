#include "runtime/commands/create_options.h"

#include "spec/error.h"

namespace coracle::commands {
namespace {

// Only create and run refuse: callers that always pass the flag must still be able to delete.
void refuse_systemd(const Globals& globals) {
  if (globals.systemd_cgroup || globals.cgroup_manager == "systemd") {
    throw spec::Error(
        "the systemd cgroup manager is not supported; use --cgroup-manager cgroupfs and a "
        "linux.cgroupsPath that is a path");
  }
}

}  // namespace

execute::CreateRequest create_request(const Globals& globals, const CreateOptions& options,
                                      std::string_view id) {
  refuse_systemd(globals);
  store::check_id(id);
  execute::CreateRequest request;
  request.root = globals.state_root();
  request.id = id;
  request.bundle = absolute_path(options.bundle);
  request.config_name = options.config;
  request.console_socket = absolute_path(options.console_socket);
  request.pid_file = absolute_path(options.pid_file);
  request.pidfd_socket = absolute_path(options.pidfd_socket);
  request.cgroup_manager = globals.cgroup_manager;
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
