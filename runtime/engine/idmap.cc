#include "runtime/engine/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>

#include <string>
#include <vector>

#include "runtime/init/syscall.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::engine {

using spec::cat;
using spec::Error;

static void write_map(pid_t pid, const char* file, std::string_view text) {
  const std::string path = cat("/proc/", pid, "/", file);
  const int r = sys::write_attribute(sys::At::cwd(), path.c_str(), text);
  if (r < 0) throw Error(cat(path, ": writing ", spec::quoted(text)), r);
}

// "0 1000 1\n1 100000 65536\n" -> {"0", "1000", "1", "1", "100000", "65536"}
static std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c != ' ' && c != '\n') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

static std::string drain(const sys::Fd& pipe) {
  std::string text;
  sys::read_all(pipe, text, 4096);  // only words for a message: what could be read is used
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

static void run_helper(const char* helper, pid_t pid, std::string_view map) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) throw Error("pipe", errno);
  const sys::Fd read_end(ends[0]);
  sys::Fd write_end(ends[1]);
  std::vector<std::string> args = words_of(map);
  args.insert(args.begin(), {helper, std::to_string(pid)});
  std::vector<char*> argv;
  argv.reserve(args.size() + 1);
  for (std::string& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), 2);
  pid_t child = 0;
  const int spawned = posix_spawnp(&child, helper, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  write_end.reset();
  if (spawned != 0)
    throw Error(cat(helper, " (package uidmap), needed to map more than one's own id"), spawned);
  const std::string said = drain(read_end);
  int status = 0;
  const int r = sys::reap(child, status);
  if (r < 0) throw Error(cat("waiting for ", helper), r);
  if (status != 0)
    throw Error(cat(helper, " failed", said.empty() ? "" : ": ", said,
                    " (are the ids granted in /etc/subuid and /etc/subgid?)"));
}

void write_id_maps(pid_t pid, std::string_view uid_map, std::string_view gid_map,
                   bool deny_setgroups, bool use_helpers) {
  if (use_helpers) {
    run_helper("newuidmap", pid, uid_map);
    run_helper("newgidmap", pid, gid_map);
    return;
  }
  write_map(pid, "uid_map", uid_map);
  if (deny_setgroups) write_map(pid, "setgroups", "deny");
  write_map(pid, "gid_map", gid_map);
}

namespace {
// A process that does nothing but own a user namespace until its fd is open.
class Sleeper {
 public:
  Sleeper() {
    clone_args args{};
    int pidfd = -1;
    args.flags = CLONE_NEWUSER | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<uintptr_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    const long pid = init::syscall(__NR_clone3, &args, sizeof(args));
    if (pid == 0) {
      if (init::syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) init::exit_now(1);
      for (;;) init::ignore(init::syscall(__NR_rt_sigsuspend, &kNoSignals, sizeof(kNoSignals)));
    }
    if (pid < 0) throw Error("clone for an idmapped mount", static_cast<int>(-pid));
    pid_ = static_cast<pid_t>(pid);
    pidfd_ = sys::Fd(pidfd);
  }
  ~Sleeper() { sys::end_child(pid_); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  pid_t pid() const { return pid_; }

 private:
  static constexpr uint64_t kNoSignals = 0;
  pid_t pid_ = 0;
  sys::Fd pidfd_;
};
}  // namespace

sys::Fd make_idmap_userns(std::string_view uid_map, std::string_view gid_map) {
  const Sleeper sleeper;
  write_id_maps(sleeper.pid(), uid_map, gid_map, false, false);
  const std::string path = cat("/proc/", sleeper.pid(), "/ns/user");
  sys::Fd fd = sys::open_at(sys::At::cwd(), path.c_str(), O_RDONLY | O_CLOEXEC);
  if (!fd) throw Error(path, fd.error());
  return fd;
}

}  // namespace coracle::engine
