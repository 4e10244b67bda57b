#include "shim/containerd/start.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "runtime/log.h"
#include "runtime/sys/file.h"
#include "runtime/sys/lock.h"
#include "runtime/sys/stdio.h"
#include "runtime/sys/unix_socket.h"
#include "runtime/sys/worker.h"
#include "shim/containerd/bootstrap.h"
#include "shim/containerd/bundle.h"
#include "shim/containerd/daemon.h"
#include "shim/containerd/options.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/json.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

constexpr int kBacklog = 4096;  // as Go listens; the kernel takes no more than somaxconn

// In this order, as containerd's own shims look for them.
constexpr std::string_view kGroupAnnotations[] = {"io.containerd.runc.v2.group",
                                                  "io.kubernetes.cri.sandbox-id"};

std::string group_of(const std::string& bundle) {
  std::string text;
  const std::string path = cat(bundle, "/config.json");
  if (int r = sys::read_regular_file(sys::At::cwd(), path.c_str(), text, spec::kMaxDocumentSize))
    throw Error(path, r);
  const spec::Document config = spec::Document::parse_config(std::move(text), path);
  for (std::string_view wanted : kGroupAnnotations) {
    for (const auto& [key, value] : config.spec.annotations)
      if (key == wanted) return std::string(value);
  }
  return "";
}

// One whose queue is full (EAGAIN) lives too.
bool is_alive(const std::string& path) {
  const sys::Fd probe = sys::connect_path(path.c_str(), SOCK_STREAM | SOCK_NONBLOCK);
  return probe || probe.error() == EAGAIN;
}

void make_directory(const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/'));
  int r = sys::mkdir_at(sys::At::cwd(), parent.c_str(), 0700);
  if (r == -ENOENT) {  // on a machine where no containerd has run: two levels are missing
    sys::mkdir_at(sys::At::cwd(), parent.substr(0, parent.rfind('/')).c_str(), 0711);
    r = sys::mkdir_at(sys::At::cwd(), parent.c_str(), 0700);
  }
  if (r && r != -EEXIST) throw Error(cat("make ", parent), r);
}

// The directory of the sockets, locked for as long as it is open: containers of one pod that are
// started at a time must not take each other's new socket for a dead one.
sys::Fd lock_sockets(const std::string& path) {
  constexpr int kLongestMs = 10'000;
  constexpr int kFlags = O_RDONLY | O_DIRECTORY;
  const std::string name = path.substr(0, path.rfind('/'));
  sys::Fd directory = sys::open_at(sys::At::cwd(), name.c_str(), kFlags);
  if (directory.error() == ENOENT) {
    make_directory(path);
    directory = sys::open_at(sys::At::cwd(), name.c_str(), kFlags);
  }
  if (!directory) throw Error(name, directory.error());
  if (int r = sys::lock_exclusive(directory, kLongestMs)) throw Error(cat("lock ", name), r);
  return directory;
}

// No descriptor if somebody serves there already. A socket that nobody listens on is what a shim
// leaves that was killed.
sys::Fd listen(const std::string& path) {
  const sys::Fd lock = lock_sockets(path);
  sys::Fd socket = sys::listen_path(path.c_str(), SOCK_STREAM | SOCK_NONBLOCK, kBacklog);
  if (socket.error() == EADDRINUSE) {
    if (is_alive(path)) return sys::Fd();
    sys::unlink_at(sys::At::cwd(), path.c_str());  // gone meanwhile: as wanted
    socket = sys::listen_path(path.c_str(), SOCK_STREAM | SOCK_NONBLOCK, kBacklog);
  }
  if (!socket) throw Error(cat("listen on ", path), socket.error());
  return socket;
}

// One above containerd's, so that the shim goes before it, and both long after the containers.
// Where the value may not be lowered (no CAP_SYS_RESOURCE) it stays what it is.
void set_oom_score(pid_t daemon) {
  constexpr int kMost = 1000;
  std::string text;
  if (sys::read_file(sys::At::cwd(), cat("/proc/", getppid(), "/oom_score_adj").c_str(), text))
    return;
  const int score = std::min(static_cast<int>(strtol(text.c_str(), nullptr, 10)) + 1, kMost);
  const int r = sys::write_attribute(
      sys::At::cwd(), cat("/proc/", daemon, "/oom_score_adj").c_str(), std::to_string(score));
  if (r) log::warning(cat("the shim's oom_score_adj cannot be set to ", score));
}

void join_cgroup(const std::string& path, pid_t daemon) {
  if (path.empty()) return;
  const std::string file = spec::clean_path(cat("/sys/fs/cgroup/", path)) + "/cgroup.procs";
  const int r = sys::write_attribute(sys::At::cwd(), file.c_str(), std::to_string(daemon));
  if (r) throw Error(cat("runtime option ShimCgroup: ", file), r);
}

// In its cgroup before it serves. A socket that nobody will serve is taken away.
void prepare_daemon(pid_t daemon, const std::string& socket, const std::string& cgroup) {
  set_oom_score(daemon);
  try {
    join_cgroup(cgroup, daemon);
  } catch (const Error&) {
    sys::unlink_at(sys::At::cwd(), socket.c_str());  // the first error counts
    throw;
  }
}

std::string ttrpc_address(const StartInput& input, const Invocation& invocation) {
  if (!input.ttrpc_address.empty()) return input.ttrpc_address;
  const char* told = getenv("TTRPC_ADDRESS");
  if (told && *told) return told;
  return invocation.address.empty() ? "" : invocation.address + ".ttrpc";
}

// How long a shim waits for its first container, and stays after its last. In seconds, from 1 to a
// day; an unusable value is none.
uint32_t idle_ms() {
  constexpr uint64_t kLongest = 24 * 60 * 60;
  const char* given = getenv("CORACLE_SHIM_IDLE");
  const auto seconds = given != nullptr ? spec::parse_number(given, kLongest) : std::nullopt;
  if (seconds && *seconds > 0) return static_cast<uint32_t>(*seconds * 1000);
  if (given != nullptr && *given != '\0')
    log::warning(cat("CORACLE_SHIM_IDLE=", spec::quoted(given), ": expected 1 to ", kLongest,
                     " seconds; ignored"));
  return DaemonSettings().idle_ms;
}

// The daemon gets the socket and says when it serves. A socket that nobody serves is taken away.
void hand_over(const sys::Fd& channel, const sys::Fd& listener, const DaemonSettings& settings) {
  try {
    if (int r = sys::send_with_fd(channel, to_bytes(settings), listener))
      throw Error("hand over to the daemon", r);
    await_daemon(channel);
  } catch (const Error&) {
    sys::unlink_at(sys::At::cwd(), settings.socket.c_str());  // the first error counts
    throw;
  }
}

std::string bundle_of(const Invocation& invocation) {
  if (!invocation.bundle.empty()) return invocation.bundle;
  char directory[4096];
  if (!getcwd(directory, sizeof(directory))) throw Error("working directory", errno);
  return directory;
}

// In the daemon, which has nothing of the caller's open.
[[noreturn]] void become_daemon() {
  int status = 1;
  try {
    status = serve(sys::Fd(sys::kDaemonChannel));
  } catch (const std::exception& e) {
    log::failure(e.what());
  }
  sys::leave_worker(status);
}

}  // namespace

std::string read_input() {
  const sys::Fd input(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  std::string bytes;
  if (int r = sys::read_all(input, bytes, kMaxInput)) throw Error("standard input", r);
  return bytes;
}

void start(const Invocation& invocation) {
  if (invocation.id.empty() || invocation.name_space.empty())
    throw Error("start: -id and -namespace are missing");
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
    throw Error("socketpair", errno);
  const sys::Fd ours(pair[0]);
  sys::Fd theirs(pair[1]);
  const pid_t daemon = sys::fork_daemon(theirs);
  if (daemon < 0) throw Error("fork", daemon);
  if (daemon == 0) become_daemon();
  theirs.reset();

  const std::string bundle = bundle_of(invocation);
  const StartInput input = parse_start_input(read_input(), invocation);
  std::vector<std::string> told_by_create;
  const Options options = parse_options(input.options, told_by_create);
  const std::string path = socket_path(input, invocation, group_of(bundle));
  const std::string address = address_of(path);
  const sys::Fd listener = listen(path);
  if (listener) {
    DaemonSettings settings;
    settings.name_space = invocation.name_space;
    settings.ttrpc_address = ttrpc_address(input, invocation);
    settings.socket = path;
    settings.log = cat(bundle, "/log");
    settings.debug = invocation.debug || input.debug;
    settings.idle_ms = idle_ms();
    prepare_daemon(daemon, path, options.shim_cgroup);
    hand_over(ours, listener, settings);
  }
  write_address(bundle, address);
  if (int r = sys::print(start_answer(input, address))) throw Error("standard output", r);
}

}  // namespace coracle::shim
