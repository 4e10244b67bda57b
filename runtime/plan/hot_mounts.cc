// Mounts of a container that runs already: added or taken away by a helper process that ends then.
//
// The helper is born in a copy of the host's mount namespace and in the container's other ones.
// There it clones the sources (in the container's user namespace: so what the host's mounts
// restrict, and what these mounts are asked to restrict, stays locked), then it joins the
// container's mount namespace and puts them in place, by the same steps as `create`.
#include "runtime/plan/hot_mounts.h"

#include <linux/sched.h>

#include "runtime/plan/entry.h"
#include "runtime/plan/mounts.h"
#include "spec/error.h"

namespace coracle::plan {

using spec::Error;

static const CreateRequest kNothingCreated;

// The helper: in all of the container's namespaces but those of mounts and processes, not in its
// cgroup (it may be frozen, or full).
static void add_helper(Draft& d, uint64_t namespaces) {
  Entry entry = entry_by_pidfd(kExecContainer, namespaces & ~uint64_t{CLONE_NEWNS});
  entry.fresh = CLONE_NEWNS;
  add_entry(d, entry);
}

static void add_clones(Draft& d) {
  for (PlannedMount& m : d.mounts) {
    if (m.source.empty() || (m.userns != kNoSlot && d.new_userns)) continue;
    open_source(d, m, Actor::kInit, m.tree == kNoSlot ? 0 : kTreeReplace);
  }
}

// `create` refuses it; the configuration that was kept may have been damaged since.
static void check_whole(const spec::Spec& spec) {
  if (!spec.linux) throw Error::at("linux", "missing in the container's configuration");
}

static void check_own_mounts(const HotRequest& request) {
  if ((request.namespaces & CLONE_NEWNS) == 0)
    throw Error("the container has no mount namespace of its own: its mounts are the host's");
}

std::vector<unsigned char> make_hot_mounts(const spec::Spec& spec, const HotRequest& request,
                                           const Host& host, Warnings& warnings) {
  check_whole(spec);
  check_own_mounts(request);
  Draft d = make_draft(spec, request, kNothingCreated, host, warnings);
  d.running = true;
  d.b.slot();  // kExecContainer
  read_mounts_of_running(d);
  add_helper(d, request.namespaces);
  add_clones(d);
  d.b.init("", EnterMounts{kExecContainer});
  add_mounts(d);
  d.b.init("", Leave{});
  return d.b.finish();
}

std::vector<unsigned char> make_hot_removal(const spec::Spec& spec, const HotRequest& request,
                                            const Host& host, Warnings& warnings) {
  check_whole(spec);
  check_own_mounts(request);
  Draft d = make_draft(spec, request, kNothingCreated, host, warnings);
  d.b.slot();  // kExecContainer
  add_helper(d, request.namespaces);
  d.b.init("", EnterMounts{kExecContainer});
  for (size_t i = spec.mounts.size(); i-- > 0;) {  // the last one made may lie on an earlier one
    const std::string origin = spec::cat("[", i, "]");
    const std::string target = clean_path(spec.mounts[i].destination);
    if (target == "/") throw Error::at(origin + ".destination", "the root cannot be taken away");
    d.b.init(origin, Unmount{d.b.str(target)});
  }
  d.b.init("", Leave{});
  return d.b.finish();
}

}  // namespace coracle::plan
