#include "runtime/commands/list_of_commands.h"
#include "runtime/container/verbs.h"
#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/json.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

struct ExecOptions {
  std::string_view process;
  std::string_view console_socket;
  std::string_view pid_file;
  std::string_view pidfd_socket;
  std::string_view cgroup;
  std::string_view cwd;
  std::string_view user;  // data() is null if the option is not there
  std::string_view apparmor;
  std::string_view process_label;
  Words env;
  Words cap;
  std::vector<uint32_t> additional_gids;
  std::optional<bool> no_new_privs;
  uint32_t preserve_fds = 0;
  bool detach = false;
  bool tty = false;
  bool ignore_paused = false;
};

constexpr Option kOptions[] = {
    option<&ExecOptions::process>("process", 'p', "FILE",
                                  "the process as JSON; then there is no COMMAND"),
    option<&ExecOptions::detach>("detach", 'd', nullptr, "return as soon as the program runs"),
    option<&ExecOptions::console_socket>("console-socket", 0, "SOCKET",
                                         "send the terminal's master side to this Unix socket"),
    option<&ExecOptions::pid_file>("pid-file", 0, "FILE", "write the pid to FILE"),
    option<&ExecOptions::pidfd_socket>("pidfd-socket", 0, "SOCKET",
                                       "send a pidfd to this Unix socket"),
    option<&ExecOptions::preserve_fds>("preserve-fds", 0, "N",
                                       "hand on N more descriptors, from 3 + LISTEN_FDS on"),
    option<&ExecOptions::cgroup>("cgroup", 0, "PATH",
                                 "an existing cgroup below the container's (/: its own)"),
    option<&ExecOptions::ignore_paused>("ignore-paused", 0, nullptr,
                                        "make the process in a paused container too"),
    option<&ExecOptions::tty>("tty", 't', nullptr, "give it a terminal"),
    option<&ExecOptions::cwd>("cwd", 0, "DIR", "working directory in the container"),
    option<&ExecOptions::env>("env", 'e', "NAME=VALUE", "add to the environment"),
    option<&ExecOptions::user>("user", 'u', "UID[:GID]", "run as this user"),
    option<&ExecOptions::additional_gids>("additional-gids", 'g', "GID", "a further group"),
    option<&ExecOptions::cap>("cap", 'c', "CAPABILITY",
                              "add to the bounding, effective and permitted sets"),
    option<&ExecOptions::no_new_privs>("no-new-privs", 0, nullptr, "set no_new_privs"),
    option<&ExecOptions::apparmor>("apparmor", 0, "PROFILE", "AppArmor profile"),
    option<&ExecOptions::process_label>("process-label", 0, "LABEL", "SELinux label"),
};

container::Overrides overrides(const ExecOptions& options, const Words& words) {
  container::Overrides changes;
  changes.args.assign(words.begin() + 1, words.end());
  changes.env.assign(options.env.begin(), options.env.end());
  changes.capabilities.assign(options.cap.begin(), options.cap.end());
  changes.additional_gids = options.additional_gids;
  changes.cwd = options.cwd;
  changes.apparmor = options.apparmor;
  changes.selinux_label = options.process_label;
  changes.no_new_privileges = options.no_new_privs;
  changes.terminal = options.tty;
  if (options.user.data() != nullptr) {
    spec::UserIds user = spec::parse_user(options.user);
    changes.uid = user.uid;
    changes.gid = user.gid;
  }
  return changes;
}

container::ExecRequest request(const Globals& globals, const ExecOptions& options,
                               const Words& words) {
  store::check_id(words[0]);
  container::ExecRequest request;
  request.root = globals.state_root().path;
  request.id = words[0];
  request.cgroup = options.cgroup;
  request.console_socket = absolute_path(options.console_socket);
  request.pid_file = absolute_path(options.pid_file);
  request.pidfd_socket = absolute_path(options.pidfd_socket);
  request.preserve_fds = options.preserve_fds;
  request.detach = options.detach;
  request.ignore_paused = options.ignore_paused;
  return request;
}

spec::Document read_process(const std::string& path) {
  std::string text;
  if (int r = sys::read_named_file(path.c_str(), text, spec::kMaxDocumentSize))
    throw spec::Error(path, r);
  spec::Document document = spec::Document::parse_process(std::move(text), path);
  for (const std::string& warning : document.near_misses()) log::warning(warning);
  return document;
}

int exec(const Globals& globals, const ExecOptions& options, const Words& words) {
  container::ExecRequest exec_request = request(globals, options, words);
  if (options.process.empty()) {
    if (words.size() < 2) throw spec::Error("exec: no COMMAND and no --process FILE");
    exec_request.overrides = overrides(options, words);
    return container::exec(exec_request);
  }
  spec::Document document = read_process(std::string(options.process));
  exec_request.process = &document.process();
  return container::exec(exec_request);
}

}  // namespace

constexpr Command kExec = {
    .name = "exec",
    .arguments = "ID COMMAND [ARGUMENT]...",
    .summary = "Run a further program in a running container",
    .details =
        "Options end at ID. The exit status is the program's, or 255 if it could not be run.",
    .options = kOptions,
    .min_arguments = 1,
    .max_arguments = -1,
    .run = parse_and_run<ExecOptions, exec>,
    .stop_at_first_argument = true,
    .failure_status = 255,
};

}  // namespace coracle::commands
