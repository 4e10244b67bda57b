#include "runtime/container/notify.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "runtime/log.h"
#include "runtime/sys/deadline.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/pipe.h"
#include "runtime/sys/unix_socket.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::container {

using spec::cat;
using spec::Error;

namespace {

constexpr std::string_view kVariable = "NOTIFY_SOCKET=";
constexpr std::string_view kInside = "/run/notify";  // runc's place for it
constexpr char kDirectory[] = "notify";
constexpr char kSocket[] = "notify.sock";
constexpr int kBarrierMs = 30'000;  // runc's and crun's

bool has_mount_at(const spec::Spec& spec, std::string_view path) {
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [path](const spec::Mount& mount) {
    const std::string place = spec::clean_path(mount.destination);
    return path == place || path.substr(0, path.rfind('/')) == place;
  });
}

bool is_arranged(const spec::Spec& spec) {
  const spec::Strings& env = spec.process->env;
  return std::any_of(env.begin(), env.end(), [&spec](std::string_view entry) {
    return entry.starts_with(kVariable) && has_mount_at(spec, entry.substr(kVariable.size()));
  });
}

}  // namespace

bool NotifyMount::add_to(spec::Spec& spec, std::string directory) {
  if (!spec.process || is_arranged(spec)) return false;
  source_ = std::move(directory);
  variable_ = cat(kVariable, kInside, "/", kSocket);
  spec::Mount& mount = spec.mounts.emplace_back();
  mount.destination = kInside;
  mount.source = source_;
  mount.options = {"bind", "nosuid", "noexec", "nodev", "ro"};
  spec.process->env.push_back(variable_);
  return true;
}

void make_notify_directory(const store::Container& container) {
  int r = sys::mkdir_at(container.dir(), kDirectory, 0700);
  const sys::Fd made = sys::open_at(container.dir(), kDirectory, O_RDONLY | O_DIRECTORY);
  if (r == 0) r = made ? sys::chmod_fd(made, 0755) : -made.error();
  if (r < 0) throw Error(cat(container.path(), "/", kDirectory), r);
}

Notifier::Notifier(const store::Container& container, std::string_view caller) : name_(caller) {
  if (!caller.empty()) listen(container);
}

void Notifier::listen(const store::Container& container) {
  const sys::Fd dir = sys::open_at(container.dir(), kDirectory, O_RDONLY | O_DIRECTORY);
  if (dir.error() == ENOENT) return;
  if (name_.front() != '/' && name_.front() != '@') return warn("neither /PATH nor @NAME", 0);
  caller_ = sys::connect_named(name_, SOCK_DGRAM);
  if (!caller_) return warn("nobody to tell that the container is ready", caller_.error());
  // One that a killed `start` has left.
  const int r = dir ? sys::unlink_at(dir, kSocket) : -dir.error();
  if (r == 0 || r == -ENOENT) socket_ = sys::bind_datagrams(dir, kSocket, 0777);
  if (!socket_) warn(cat("cannot listen in ", container.path()), r < 0 ? r : socket_.error());
}

void Notifier::warn(std::string_view what, int error) const {
  const std::string text = cat("NOTIFY_SOCKET ", spec::quoted(name_), ": ", what);
  log::warning(error == 0 ? text : Error(text, error).what());
}

bool Notifier::is_ready() {
  char text[4096];  // systemd's own limit, NOTIFY_BUFFER_MAX
  for (;;) {
    const long n = sys::receive_datagram(socket_, text, sizeof(text));
    if (n < 0) return false;
    if (spec::has_line({text, static_cast<size_t>(n)}, "READY=1")) return true;
  }
}

void Notifier::tell(pid_t main_pid) {
  socket_.reset();
  const std::string text = main_pid > 0 ? cat("READY=1\nMAINPID=", main_pid, "\n") : "READY=1\n";
  const int r = sys::send_datagram(caller_, text);
  if (r < 0) warn("telling that the container is ready", r);
}

void Notifier::await_caller() {
  sys::Fd reader;
  sys::Fd writer;
  int r = sys::make_pipe(reader, writer);
  if (r == 0) r = sys::send_with_fd(caller_, "BARRIER=1", writer);
  writer.reset();
  if (r < 0) return warn("BARRIER=1", r);
  const sys::Deadline deadline(kBarrierMs);
  for (;;) {
    pollfd end{reader.get(), POLLIN, 0};
    const int ready = poll(&end, 1, deadline.left());
    if (ready > 0) return;
    if (ready == 0) return warn("does not answer BARRIER=1 within 30 s: gone on", 0);
    if (errno != EINTR) return warn("BARRIER=1", errno);
  }
}

void Notifier::relay(pid_t main_pid, const sys::Fd& process) {
  for (;;) {
    pollfd fds[2] = {{socket_.get(), POLLIN, 0}, {process.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return warn("poll", errno);
    }
    if (is_ready()) break;
    if (fds[1].revents != 0) return warn("the program ended before it was ready", 0);
  }
  tell(main_pid);
  await_caller();
}

}  // namespace coracle::container
