#include "runtime/container/join.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>

#include "runtime/cgroup/fs.h"
#include "runtime/cgroup/settle.h"
#include "runtime/engine/report.h"
#include "runtime/messages.h"
#include "runtime/plan/plan.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::container {

using spec::cat;
using spec::Error;

FirstProcess::FirstProcess(const store::Container& container)
    : pid_(container.record().process.pid), pidfd_(container.pidfd()) {
  if (pidfd_.error() == ESRCH) throw Error(messages::kExecStopped);
  if (!pidfd_) throw Error(cat("process ", pid_), pidfd_.error());
}

std::string FirstProcess::path(const char* name) const { return cat("/proc/", pid_, "/", name); }

bool FirstProcess::lives() const { return sys::pidfd_wait(pidfd_, 0) == 0; }

// What was opened through /proc is of this process only if it still lives.
sys::Fd FirstProcess::open(const char* name, int flags) const {
  sys::Fd fd = sys::open_at(sys::At::cwd(), path(name).c_str(), flags);
  if (!lives()) throw Error(messages::kExecStopped);
  if (!fd) throw Error(path(name), fd.error());
  return fd;
}

std::string FirstProcess::cgroup() const {
  std::string text;
  const int r = sys::read_file(sys::At::cwd(), path("cgroup").c_str(), text);
  if (!lives()) throw Error(messages::kExecStopped);
  if (r < 0) throw Error(path("cgroup"), r);
  return cgroup::unified_path(text);
}

sys::Fd FirstProcess::pidfd() const {
  sys::Fd copy(fcntl(pidfd_.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) throw Error("dup of a pidfd", errno);
  return copy;
}

// With a cgroup of its own below the container's the program is there, and so are its helpers.
std::string cgroup_of_process(const store::Container& container, const spec::Spec& spec,
                              const FirstProcess& first) {
  const std::string& path = container.record().cgroup_path;
  if (path.empty()) return "";
  return spec::find(spec.annotations, spec::kDelegateCgroup).empty() ? path : first.cgroup();
}

namespace {

// Where the process is to be: born there, or moved there once it has forked for the last time.
struct Place {
  std::string path;  // below the cgroup2 mount; "": where we are
  std::string sub;   // below that
  bool move = false;
};

cgroup::Cgroup open_place(const Place& place) {
  if (place.path.empty()) return {};
  cgroup::Cgroup cgroup = cgroup::open(cgroup::open_mount(), place.path);
  return place.sub.empty() ? std::move(cgroup) : cgroup::open_sub(cgroup, place.sub);
}

class Joiner {
 public:
  explicit Joiner(const JoinRequest& request) : request_(request) {}

  // Not where the container was put, if that is no place for a process any more:
  //   EBUSY       it has moved its processes further down and enabled controllers: only a leaf may
  //               have processes then (cgroup-v2.rst, "No Internal Process Constraint")
  //   ENOENT      it has left that cgroup for another, and somebody removed it
  //   EOPNOTSUPP  it has made its cgroups threaded
  // then where its first process is. EAGAIN: the limit on processes has no room for two more for a
  // moment; one that is moved there is not counted against it (cgroup-v2.rst, "PID").
  std::unique_ptr<engine::Walk> join() {
    try {
      return walk({request_.cgroup, request_.sub});
    } catch (const Error& e) {
      const int code = e.code();
      const bool elsewhere = code == EBUSY || code == ENOENT || code == EOPNOTSUPP;
      if (code == EBUSY && !request_.sub.empty()) not_there();
      const bool full = code == EAGAIN && !request_.cgroup.empty();
      if (!full && (births_ > 0 || !elsewhere || !request_.sub.empty())) throw;
      if (!full && request_.cgroup.empty()) throw;
      move_ = full;
    }
    if (move_) return walk({request_.cgroup, request_.sub, true});
    return walk({request_.first.cgroup(), ""});
  }

 private:
  std::unique_ptr<engine::Walk> walk(const Place& place) {
    births_ = 0;
    target_ = open_place(place);
    engine::Occasions when;
    when.born = [this] { born(); };
    auto walk = std::make_unique<engine::Walk>(request_.setting, std::move(when));
    walk_ = walk.get();
    walk->report = engine::make_report();
    if (!walk->report) throw Error("the init's report", walk->report.error());
    fill_slots(*walk);
    if (!place.move) walk->cgroup = std::move(target_);
    try {
      walk->run();
    } catch (...) {
      walk->end();
      // Nobody can be born in a pid namespace whose first process has ended (pid_namespaces(7)).
      if (!request_.first.lives()) throw Error(messages::kExecStopped);
      throw;
    }
    return walk;
  }

  void fill_slots(engine::Walk& walk) const {
    walk.slots.set(plan::kExecContainer, request_.first.pidfd());
    if ((request_.types & CLONE_NEWNS) == 0 || request_.own_root)
      walk.slots.set(plan::kExecRoot, request_.first.open("root", O_PATH | O_DIRECTORY));
    if (request_.fill) request_.fill(walk);
  }

  bool forks() const {
    for (const plan::Step& step : walk_->view())
      if (step.op == plan::Op::kAdopt) return true;
    return false;
  }

  void born() {
    ++births_;
    const pid_t pid = walk_->child.pid;
    if (move_ && (births_ == 2 || !forks())) cgroup::move(target_, pid);
    if (request_.born) request_.born(pid);
  }

  // In runc's words.
  [[noreturn]] void not_there() const {
    throw Error(cat("adding pid of the new process to cgroups: ", request_.sub,
                    " gives controllers to its children, so only those may have processes"),
                EBUSY);
  }

  const JoinRequest& request_;
  cgroup::Cgroup target_;
  engine::Walk* walk_ = nullptr;
  int births_ = 0;
  bool move_ = false;
};

}  // namespace

std::unique_ptr<engine::Walk> join(const JoinRequest& request) { return Joiner(request).join(); }

}  // namespace coracle::container
