#include "runtime/cgroup/control.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>

#include "runtime/sys/deadline.h"
#include "runtime/sys/event.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::cgroup {
namespace {

using spec::cat;
using spec::Error;
using sys::Deadline;
using sys::Fd;

// Between two attempts to empty a cgroup; an event ends the wait at once.
constexpr int kRoundMs = 200;

// A removed cgroup: its files cannot be opened, or no longer be used.
bool is_gone(int error) { return error == -ENOENT || error == -ENODEV; }

// cgroup.events, open for reading it again and again.
class Events {
 public:
  explicit Events(const Cgroup& cgroup)
      : path_(cgroup.path), file_(sys::open_at(cgroup.dir, "cgroup.events", O_RDONLY)) {
    if (!file_ && !is_gone(-file_.error())) fail(file_.error());
  }
  // Reads anew; false if the cgroup is gone.
  bool read() {
    if (!file_) return false;
    char text[256];
    const int n = sys::reread(file_, text, sizeof(text));
    if (is_gone(n)) return false;
    if (n < 0) fail(n);
    const std::string_view view(text, static_cast<size_t>(n));
    populated = view.find("populated 1") != view.npos;
    frozen = view.find("frozen 1") != view.npos;
    return true;
  }
  // Waits for a change since the last read().
  void wait(int timeout_ms) {
    if (int r = sys::wait_changed(&file_, nullptr, timeout_ms); r < 0) fail(r);
  }

  bool populated = false;
  bool frozen = false;

 private:
  [[noreturn]] void fail(int error) {
    throw Error(cat("cannot read cgroup.events of cgroup ", path_), error);
  }
  std::string path_;
  Fd file_;
};

Events read_events(const Cgroup& cgroup) {
  Events events(cgroup);
  if (!events.read()) throw Error(cat("cgroup ", cgroup.path, " is gone"));
  return events;
}

// Appends the numbers of a file with one a line.
void parse_pids(std::string_view text, std::vector<pid_t>& out) {
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    pid_t pid = 0;
    p = std::from_chars(p, end, pid).ptr;
    if (pid > 0) out.push_back(pid);  // 0: of another pid namespace
    while (p < end && *p++ != '\n') {
    }
  }
}

// `dir` is a path below the cgroup, "." for itself.
void append_pids(const Cgroup& cgroup, const std::string& dir, std::vector<pid_t>& out) {
  std::string text;
  int r = sys::read_file(cgroup.dir, (dir + "/cgroup.procs").c_str(), text);
  // A threaded cgroup tells only its threads.
  if (r == -EOPNOTSUPP) r = sys::read_file(cgroup.dir, (dir + "/cgroup.threads").c_str(), text);
  if (is_gone(r)) return;
  if (r < 0) throw Error(cat("cannot read cgroup.procs of cgroup ", cgroup.path, '/', dir), r);
  parse_pids(text, out);
}

// Removes the cgroups right below `at`. A name of one that could not be removed because it is not
// empty goes to `busy`.
int remove_leaves(const Fd& at, std::string& busy) {
  std::vector<sys::DirEntry> entries;
  busy.clear();
  if (int r = sys::list_dir(at, ".", entries)) return r;
  for (const sys::DirEntry& entry : entries) {
    if (entry.type != DT_DIR) continue;
    const int r = sys::rmdir_at(at, entry.name.c_str());
    if (r == -EBUSY) busy = entry.name;
    if (r < 0 && r != -EBUSY && !is_gone(r)) return r;
  }
  return 0;
}

// Removes all cgroups below `top`. Walks with one descriptor and "..", for a container that
// manages its cgroup decides how deep it goes (cgroupfs knows no rename, so ".." is the way back).
int remove_below(const Fd& top) {
  std::vector<std::string> way;
  Fd at = sys::open_at(top, ".", O_RDONLY | O_DIRECTORY);
  while (at) {
    std::string busy;
    if (int r = remove_leaves(at, busy)) return is_gone(r) ? 0 : r;
    if (!busy.empty()) {
      at = sys::open_at(at, busy.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      way.push_back(std::move(busy));
      continue;
    }
    if (way.empty()) return 0;
    at = sys::open_at(at, "..", O_RDONLY | O_DIRECTORY);
    if (!at) break;
    const int r = sys::rmdir_at(at, way.back().c_str());
    if (r < 0 && !is_gone(r)) return r;
    way.pop_back();
  }
  return is_gone(-at.error()) ? 0 : -at.error();
}

// The cgroup and all below it, which nobody is in any more. 0 or -errno.
int remove_all(const Fd& mount, const Cgroup& cgroup) {
  int r = remove_below(cgroup.dir);
  if (r == 0) r = sys::rmdir_at(mount, cgroup.path.c_str() + 1);
  return is_gone(r) ? 0 : r;
}

[[noreturn]] void fail_destroy(const Cgroup& cgroup, int error) {
  const size_t left = error == -EBUSY ? pids(cgroup, true).size() : 0;
  if (left == 0) throw Error(cat("cannot remove cgroup ", cgroup.path), error);
  throw Error(
      cat("cannot remove cgroup ", cgroup.path, ": ", left, " process(es) in it do not end"));
}

}  // namespace

bool is_populated(const Cgroup& cgroup) { return read_events(cgroup).populated; }

bool is_frozen(const Cgroup& cgroup) { return read_events(cgroup).frozen; }

void freeze(const Cgroup& cgroup, int timeout_ms) {
  const Deadline deadline(timeout_ms);
  if (int r = sys::write_attribute(cgroup.dir, "cgroup.freeze", "1")) {
    throw Error(cat("cannot freeze cgroup ", cgroup.path), r);
  }
  Events events(cgroup);
  for (;;) {
    if (!events.read()) throw Error(cat("cannot freeze cgroup ", cgroup.path, ": it is gone"));
    if (events.frozen) return;
    const int left = deadline.left();
    if (left == 0) break;
    events.wait(left);
  }
  thaw(cgroup);
  throw Error(cat("cannot freeze cgroup ", cgroup.path, ": a process in it does not stop"));
}

void thaw(const Cgroup& cgroup) {
  if (int r = sys::write_attribute(cgroup.dir, "cgroup.freeze", "0")) {
    throw Error(cat("cannot thaw cgroup ", cgroup.path), r);
  }
}

void kill_all(const Cgroup& cgroup) {
  const int r = sys::write_attribute(cgroup.dir, "cgroup.kill", "1");
  if (r == 0 || is_gone(r)) return;
  if (r != -EOPNOTSUPP) throw Error(cat("cannot kill cgroup ", cgroup.path), r);
  // Threaded cgroups have no cgroup.kill. This is one round: destroy() kills again.
  for (pid_t pid : pids(cgroup, true)) {
    if (::kill(pid, SIGKILL) != 0 && errno != ESRCH) {
      throw Error(cat("cannot kill process ", pid, " of cgroup ", cgroup.path), errno);
    }
  }
}

bool wait_empty(const Cgroup& cgroup, int timeout_ms) {
  const Deadline deadline(timeout_ms);
  Events events(cgroup);
  while (events.read() && events.populated) {
    const int left = deadline.left();
    if (left == 0) return false;
    events.wait(left);
  }
  return true;
}

std::vector<pid_t> pids(const Cgroup& cgroup, bool recursive) {
  std::vector<pid_t> out;
  std::vector<std::string> left = {"."};
  while (!left.empty()) {
    const std::string dir = std::move(left.back());
    left.pop_back();
    append_pids(cgroup, dir, out);
    if (!recursive) break;
    std::vector<sys::DirEntry> entries;
    const int r = sys::list_dir(cgroup.dir, dir.c_str(), entries);
    if (is_gone(r)) continue;
    if (r < 0) throw Error(cat("cannot list cgroup ", cgroup.path, '/', dir), r);
    for (const sys::DirEntry& entry : entries) {
      if (entry.type == DT_DIR) left.push_back(cat(dir, '/', entry.name));
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void destroy(const Fd& mount, std::string_view path, int timeout_ms) {
  if (path.size() < 2) throw Error("refusing to remove the root of all cgroups");
  const std::string name(path.substr(1));
  int r = sys::rmdir_at(mount, name.c_str());
  if (r == 0 || r == -ENOENT) return;
  if (r != -EBUSY) throw Error(cat("cannot remove cgroup ", path), r);

  const Cgroup cgroup = try_open(mount, path);
  if (!cgroup.dir) {
    if (is_gone(-cgroup.dir.error())) return;
    throw Error(cat("cannot open cgroup ", path), cgroup.dir.error());
  }
  const Deadline deadline(timeout_ms);
  for (int pause_ms = 1;; pause_ms = std::min(pause_ms * 2, kRoundMs)) {
    kill_all(cgroup);
    const bool empty = wait_empty(cgroup, std::min(kRoundMs, deadline.left()));
    r = empty ? remove_all(mount, cgroup) : -EBUSY;
    if (r == 0) return;
    if (r != -EBUSY || deadline.left() == 0) fail_destroy(cgroup, r);
    // Busy although empty: someone came and went, or the kernel is not done with a child yet.
    Events events(cgroup);
    if (empty && events.read()) events.wait(std::min(pause_ms, deadline.left()));
  }
}

}  // namespace coracle::cgroup
