// The verbs that make processes: create, run, start, exec; and delete, which takes away what they
// made. Each is one call in, one result out; they throw spec::Error.
//
// Strings are owned by the requests, so that a shim can keep them as long as it likes.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/container/overrides.h"
#include "runtime/store/container.h"
#include "runtime/store/root.h"
#include "spec/spec.h"

namespace coracle::container {

struct CreateRequest {
  store::RootChoice root;
  std::string id;
  std::string bundle;                       // absolute
  std::string config_name = "config.json";  // below the bundle, or absolute
  std::string console_socket;               // absolute, or ""
  std::string pid_file;                     // absolute, or ""
  std::string pidfd_socket;                 // absolute, or ""
  std::string cgroup_manager = "cgroupfs";  // or "disabled"
  std::optional<bool> rootless;             // --rootless: true, false, or auto
  std::string notify_socket;                // NOTIFY_SOCKET, or "": see notify.h
  std::string shim;                         // address of the shim that creates it, or ""
  uint32_t preserve_fds = 0;
  bool no_pivot = false;
  bool no_new_keyring = false;
  bool keep_console = false;  // no console socket: whoever creates takes the pty's master
  // run only:
  bool keep = false;    // do not delete after exit
  bool detach = false;  // return once it runs
  bool no_subreaper = false;
};

struct ExecRequest {
  std::string root;  // absolute
  std::string id;
  const spec::Process* process = nullptr;  // --process FILE, complete; borrowed
  Overrides overrides;                     // else: changes to the container's own process
  std::string cgroup;                      // --cgroup, "" for the container's
  std::string console_socket;
  std::string pid_file;
  std::string pidfd_socket;
  uint32_t preserve_fds = 0;
  bool detach = false;
  bool ignore_paused = false;
};

void create(const CreateRequest& request);
// The exit status of the program (128 + signal when killed); 0 when detached.
int run(const CreateRequest& request);
// `notify_socket`: NOTIFY_SOCKET, or "".
void start(const std::string& root, std::string_view id, std::string_view notify_socket);
// The exit status of the program (128 + signal when killed); 0 when detached.
int exec(const ExecRequest& request);

// exec that returns as soon as the program runs, for who stays behind. The process is a child of
// the caller's.
struct Started {
  pid_t pid = 0;
  sys::Fd console;  // the pty's master, if there is one and no console socket took it
};
Started exec_detached(const ExecRequest& request);

// Ends what is left of the container (only with `force` if something runs), runs poststop hooks,
// removes cgroup and record. `container` is locked, by open_for_removal.
void destroy(store::Container& container, bool force);

// The plan of `create` for this bundle as text, nothing made. Format: "table" or "json".
std::string plan_bundle(const CreateRequest& request, std::string_view format);

}  // namespace coracle::container
