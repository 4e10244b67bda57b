// What the verbs share: hooks with their state document, the pid file, and taking a container away.
#pragma once

#include <sys/types.h>

#include <string>

#include "runtime/plan/builder.h"
#include "runtime/store/container.h"
#include "spec/json.h"

namespace coracle::container {

// Bytes of a configuration file; an Error with its path otherwise.
std::string read_config(const std::string& path);

// The configuration that `create` kept; parsed again, it was valid then.
spec::Document kept_config(const store::Container& container);

// Runs the hooks of one kind, if there are any, with the container's state in status `status`.
void run_hooks(plan::HookKind kind, const spec::Spec& spec, store::Container& container,
               store::Status status);

// poststart and poststop hooks run without the lock, so that they can use the runtime on their own
// container; it is taken again behind them.
void run_hooks_unlocked(plan::HookKind kind, const spec::Spec& spec, store::Container& container,
                        store::Status status);

// In decimal, without a newline; replaced by rename, so a reader never sees half of it.
void write_pid_file(const std::string& path, pid_t pid);

// Kills what runs, removes the cgroup, runs poststop hooks (if an init ever was), removes the
// record. Throws if something could not be removed; the record then stays, for another try.
struct Known {                            // what the caller knows already
  const sys::Fd* cgroup_mount = nullptr;  // open, or null
  bool init_ended = false;                // it was waited for
  bool ask_systemd = true;                // false: it has not answered before
};
void take_away(store::Container& container, const spec::Spec& spec, const Known& known = {});

}  // namespace coracle::container
