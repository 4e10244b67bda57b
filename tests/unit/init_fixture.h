// Runs the mounts' part of a plan for real: a forked child takes the parent's steps, unshares its
// namespaces, takes the init's steps and then looks around inside. Nothing of it reaches the
// machine's own mounts, nor its files, even if what is tested is broken (protect_host).
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "runtime/init/init.h"
#include "runtime/plan/plan.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::test {

// CAP_SYS_ADMIN is what counts; a container without it cannot unshare either.
inline bool can_mount() {
  static const bool can = [] {
    const pid_t pid = fork();
    if (pid == 0) _exit(unshare(CLONE_NEWNS) == 0 && geteuid() == 0 ? 0 : 1);
    int status = 1;
    waitpid(pid, &status, 0);
    if (status != 0)
      std::fprintf(stderr, "# skipping tests that mount: they need root and a mount namespace\n");
    return status == 0;
  }();
  return can;
}

// For tests that carry a plan out.
#define MOUNTING_TEST(name) TEST_CASE(name* doctest::skip(!can_mount()))

inline std::string slurp(const std::string& path) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return spec::cat("cannot open ", path, ": ", strerror(errno));
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  close(fd);
  return text;
}

inline void spill(const std::string& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) abort();
  close(fd);
}

inline bool exists(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0;
}

// "PATH MODE MAJOR:MINOR ", "PATH->TARGET " or "PATH missing ".
inline std::string node(const char* path) {
  struct stat st;
  if (lstat(path, &st) != 0) return spec::cat(path, " missing ");
  if (S_ISLNK(st.st_mode)) {
    char link[256] = "";
    const ssize_t n = readlink(path, link, sizeof(link));
    return spec::cat(path, "->", std::string_view(link, static_cast<size_t>(n)), " ");
  }
  char text[128];
  std::snprintf(text, sizeof(text), "%s %o %u:%u ", path, st.st_mode, major(st.st_rdev),
                minor(st.st_rdev));
  return text;
}

// A bundle in a directory of its own, with a `rootfs` and, beside it, a `canary` directory that
// nobody may touch. Gone at the end.
class Bundle {
 public:
  Bundle() {
    const char* where = getenv("TMPDIR");
    std::string name = spec::cat(where ? where : "/tmp", "/coracle-mounts.XXXXXX");
    if (mkdtemp(name.data()) == nullptr) abort();
    path_ = name;
    make_dir("rootfs");
    for (const char* dir : {"proc", "sys", "dev", "etc", "tmp"})
      make_dir(spec::cat("rootfs/", dir));
    make_dir("canary");
    spill(path("canary/alive"), "tweet");
  }
  ~Bundle() {
    // The tree is our own and nothing is mounted in it: the mounts were in namespaces now gone.
    const std::string command = spec::cat("rm -rf --one-file-system '", path_, "'");
    if (system(command.c_str()) != 0) std::fprintf(stderr, "# left behind: %s\n", path_.c_str());
  }
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  std::string path(std::string_view below = "") const { return spec::cat(path_, "/", below); }
  std::string root(std::string_view below) const { return spec::cat(path_, "/rootfs", below); }
  const std::string& name() const { return path_; }
  void make_dir(std::string_view below) { mkdir(path(below).c_str(), 0755); }
  void link(std::string_view points_to, std::string_view at) {
    const std::string place = root(at);
    rmdir(place.c_str());
    if (symlink(std::string(points_to).c_str(), place.c_str()) != 0) abort();
  }
  // The canary as it was, and nothing beside it.
  bool canary_untouched() const {
    const std::string list = spec::cat("ls -A '", path("canary"), "' | tr '\\n' ' '");
    FILE* pipe = popen(list.c_str(), "r");
    char line[256] = "";
    if (pipe == nullptr || fgets(line, sizeof(line), pipe) == nullptr) line[0] = '\0';
    if (pipe != nullptr) pclose(pipe);
    return std::string_view(line) == "alive " && slurp(path("canary/alive")) == "tweet";
  }

 private:
  std::string path_;
};

struct Attempt {
  spec::Spec spec;
  plan::CreateRequest request;
  plan::Host host;
  plan::Warnings warnings;
  bool userns = false;  // the init gets a user namespace with 0 -> 0 mapped
  bool parent_mounts = true;

  explicit Attempt(const Bundle& bundle) {
    spec.root.emplace();
    spec.root->path = "rootfs";
    spec.linux.emplace();
    spec.linux->namespaces.push_back({"mount", ""});
    request.id = "test";
    request.bundle = bundle.name();
  }
  spec::Mount& mount(std::string_view type, std::string_view source, std::string_view destination,
                     std::vector<std::string_view> options = {}) {
    spec::Mount& m = spec.mounts.emplace_back();
    m.type = type;
    m.source = source;
    m.destination = destination;
    m.options = std::move(options);
    return m;
  }
  std::vector<unsigned char> plan() {
    plan::Draft d{{}, spec, request, request, host, warnings};
    d.new_userns = userns;
    d.parent_mounts = parent_mounts;
    plan::add_sources(d);
    plan::add_rootfs(d);
    plan::add_pivot(d);
    return d.b.finish();
  }
};

inline std::string step_failure(const plan::View& view, const plan::Step& step,
                                const init::Context& c, long error) {
  static constexpr const char* kCalls[] = {
#define X(name) #name,
      CORACLE_CALLS(X)
#undef X
  };
  return spec::cat(view.str(step.origin), ": ", kCalls[static_cast<int>(c.call)], ": ",
                   strerror(static_cast<int>(-error)), c.text[0] ? ": " : "", c.text);
}

// All steps of one actor; "" or the words of the first failure.
inline std::string walk(init::Context& c, plan::Actor actor) {
  const plan::View view(c.base);
  for (const plan::Step& step : view) {
    if (step.actor != actor) continue;
    c.call = plan::Call::k_none;
    c.text[0] = '\0';
    const long r = init::run_step(c, step);
    const bool skip =
        step.on_error == plan::OnError::kSkipMissing && (r == -ENOENT || r == -ENOTDIR);
    if (r < 0 && !skip) return step_failure(view, step, c, r);
  }
  return "";
}

// A defence that does not hold must cost a failed test, not the machine the test runs on: in a
// mount namespace of its own everything is read-only but `writable` (with what is mounted below
// it), and procfs and sysfs stay as they are, because user namespaces get no more than what they
// find.
inline void protect_host(const std::string& writable) {
  if (unshare(CLONE_NEWNS) != 0) _exit(7);
  const std::string paths[] = {writable, "/proc", "/sys"};
  long trees[3];
  mount_attr attr{};
  attr.propagation = MS_PRIVATE;
  if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) != 0) _exit(7);
  for (int i = 0; i < 3; ++i) {
    trees[i] = syscall(SYS_open_tree, AT_FDCWD, paths[i].c_str(),
                       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (trees[i] < 0) _exit(7);
  }
  attr = {};
  attr.attr_set = MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) != 0) _exit(7);
  for (int i = 0; i < 3; ++i) {
    if (syscall(SYS_move_mount, trees[i], "", AT_FDCWD, paths[i].c_str(),
                MOVE_MOUNT_F_EMPTY_PATH) != 0)
      _exit(7);
    close(static_cast<int>(trees[i]));
  }
}

// Runs `body` in a child behind protect_host (without the rights for it: as it is) and returns what
// it wrote into its argument.
inline std::string in_child(const std::string& writable,
                            const std::function<void(std::string&)>& body) {
  const bool guarded = can_mount();
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) abort();
  const pid_t pid = fork();
  if (pid == 0) {
    if (guarded) protect_host(writable);
    std::string words;
    body(words);
    _exit(write(pipe_fds[1], words.data(), words.size()) < 0);
  }
  close(pipe_fds[1]);
  std::string words;
  char buffer[4096];
  for (ssize_t n; (n = read(pipe_fds[0], buffer, sizeof(buffer))) > 0;)
    words.append(buffer, static_cast<size_t>(n));
  close(pipe_fds[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) return spec::cat("child ended with status ", status, ": ", words);
  return words;
}

// Only a process of the outer user namespace may map ids that are not the writer's own.
inline void unshare_user() {
  int ready[2], done[2];
  if (pipe(ready) != 0 || pipe(done) != 0) _exit(3);
  const pid_t self = getpid();
  char byte = 0;
  if (fork() == 0) {
    if (read(ready[0], &byte, 1) != 1) _exit(1);
    spill(spec::cat("/proc/", self, "/uid_map"), "0 0 65536\n");
    spill(spec::cat("/proc/", self, "/gid_map"), "0 0 65536\n");
    _exit(write(done[1], &byte, 1) != 1);
  }
  if (unshare(CLONE_NEWUSER) != 0 || write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1)
    _exit(3);
  for (int fd : {ready[0], ready[1], done[0], done[1]}) close(fd);
}

inline void enter_namespaces(bool userns) {
  if (userns) unshare_user();
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID) != 0) _exit(4);
  if (!userns && unshare(CLONE_NEWNET | CLONE_NEWCGROUP) != 0) _exit(5);
  // A pid namespace is for children: the rest is done by one.
  if (const pid_t pid = fork(); pid != 0) {
    int status = 1;
    waitpid(pid, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 6);
  }
  umask(0);
}

// Carries the plan out in a child; `look` runs inside the container's root and returns what it
// found. The failure of a step comes back as "failed: ...".
inline std::string carry_out(Attempt& attempt, const std::function<std::string()>& look) {
  std::vector<unsigned char> block = attempt.plan();
  return in_child(std::string(attempt.request.bundle), [&](std::string& words) {
    static init::Context c{};
    static plan::Report report{};
    c.base = block.data();
    c.report = &report;
    c.root = c.procfs = c.mask_tmpfs = c.sync = c.start = -1;
    std::string failure = walk(c, plan::Actor::kParent);
    if (failure.empty()) {
      enter_namespaces(attempt.userns);
      failure = walk(c, plan::Actor::kInit);
    }
    words = failure.empty() ? look() : spec::cat("failed: ", failure);
  });
}

// The line of /proc/self/mountinfo for a mount point (the topmost): "OPTIONS FIELDS - TYPE SOURCE
// SUPER"; "" if there is none.
inline std::string mount_line(const std::string& mountinfo, std::string_view point) {
  std::string found;
  for (size_t at = 0; at < mountinfo.size();) {
    size_t end = mountinfo.find('\n', at);
    if (end == std::string::npos) end = mountinfo.size();
    const std::string line = mountinfo.substr(at, end - at);
    at = end + 1;
    size_t field = 0;
    for (int i = 0; i < 4; ++i) field = line.find(' ', field) + 1;
    const size_t stop = line.find(' ', field);
    if (line.substr(field, stop - field) == point) found = line.substr(stop + 1);
  }
  return found;
}

}  // namespace coracle::test
