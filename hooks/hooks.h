// Running OCI hooks: when, with what input, how long, and what a failure means (runtime-spec
// config.md, "POSIX-platform Hooks"; runtime.md, "Lifecycle").
//
//   kind             runs in                  its path is of   a failure
//   prestart         runtime's namespaces     the runtime      throws
//   createRuntime    runtime's                the runtime      throws
//   createContainer  container's, not pid     the runtime      throws
//   startContainer   container's              the container    throws
//   poststart        runtime's                the runtime      throws
//   poststop         runtime's                the runtime      a warning; the next one runs
//
// Each hook gets the state document on its standard input, exactly the configured arguments and
// environment (startContainer without one: that of the container's program, as ever), a working
// directory (createContainer: the container's root; startContainer: "/"; else the bundle), and
// nothing else of ours: no descriptor, no blocked or ignored signal. It leads a process group of
// its own; that group is killed when its time is up, and the hook when we die. What it leaves
// running behind it stays. Its output is read and thrown away, but for the end of it that a
// failure's message shows.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "runtime/sys/fd.h"
#include "runtime/sys/program.h"
#include "spec/spec.h"

namespace coracle::hooks {

enum class Kind {
  kPrestart,
  kCreateRuntime,
  kCreateContainer,
  kStartContainer,
  kPoststart,
  kPoststop
};

// "createRuntime", as in config.json.
std::string_view name_of(Kind kind);

// The container whose namespaces createContainer and startContainer join: those in which its init
// differs from us, without the pid namespace for createContainer.
struct Container {
  pid_t pid = 0;  // of its init, in our pid namespace
  const sys::Fd* pidfd = nullptr;
  const sys::Fd* cgroup = nullptr;            // startContainer is born there; null: in ours
  const sys::Confinement* confine = nullptr;  // for startContainer, whose program comes out of the
                                              // image: what the container's process is allowed
};

struct Options {
  std::string_view bundle;               // absolute
  const Container* container = nullptr;  // must be set for createContainer and startContainer
  std::vector<std::string> program_env;  // of the container's program; for startContainer
  const sys::Fd* output = nullptr;       // gets a copy of what they print; null: nobody does
  const sys::Fd* error = nullptr;
};

// Runs them in order, one after the other. `state` is the JSON text of the container's state; its
// pid must be the one the hook sees: that in the container's pid namespace (1, if that is new) for
// startContainer, ours for all others.
//
// Throws spec::Error: "error running createRuntime hook #1: /opt/x: exit status 3: no such
// bridge" (runc's words, as far as the number). For poststop the same words go to `warnings`.
void run_hooks(Kind kind, const std::vector<spec::Hook>& hooks, std::string_view state,
               const Options& options, std::vector<std::string>& warnings);

}  // namespace coracle::hooks
