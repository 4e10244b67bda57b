// Running OCI hooks: when, with what input, how long, and what a failure means (runtime-spec
// config.md, "POSIX-platform Hooks"; runtime.md, "Lifecycle").
//
//   kind             runs in                  its path is of   a failure
//   prestart         runtime's namespaces     the runtime      throws
//   createRuntime    runtime's                the runtime      throws
//   createContainer  container's              the runtime      throws
//   startContainer   container's              the container    throws
//   poststart        runtime's                the runtime      throws
//   poststop         runtime's                the runtime      a warning; the next one runs
//
// Each hook gets the state document on its standard input, exactly the configured arguments and
// environment (without `env`, which is optional, ours: so with runc and crun), a working
// directory (createContainer: the container's root; startContainer: "/"; else the bundle), and
// nothing else of ours: no descriptor, no blocked or ignored signal. It leads a process group of
// its own; that group is killed when its time is up, and the hook when we die. What it leaves
// running behind it stays. Its output is read and thrown away, but for the end of it that a
// failure's message shows.
#pragma once

#include <functional>
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

// What is to be executed. Environment and arguments are complete.
struct Program {
  std::string path;
  std::vector<std::string> args;  // argv[0] included
  std::vector<std::string> env;
};

// Starts a program whose standard input, output and error become the three fds, all above 2, as the
// leader of a process group of its own that dies with us. Throws spec::Error.
using Start = std::function<sys::Started(const Program&, const sys::Fd* const* stdio)>;

struct Options {
  std::string_view bundle;          // absolute
  Start start;                      // for createContainer and startContainer, which run elsewhere
  const sys::Fd* output = nullptr;  // gets a copy of what they print; null: nobody does
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
