// The container's root from the detached clone to "/": attach and fill it, then hide, protect and
// enter it.
#include <linux/mount.h>

#include <set>

#include "runtime/plan/mounts.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

// Without a mount namespace the host's own mounts must stay as they are.
static bool has_own_mounts(const Draft& d) { return find_namespace(d.spec, "mount") != nullptr; }

void add_rootfs(Draft& d) {
  // Before the propagation changes: a clone of a shared mount is to be its peer, if asked for.
  if (!d.parent_mounts) open_trees(d, Actor::kInit);
  if (d.parent_mounts && d.new_userns) replace_trees(d);
  const bool cut = root_propagation(d).flag == MS_PRIVATE || all_binds_are_private(d);
  const uint64_t propagation = cut ? MS_PRIVATE : MS_SLAVE;
  if (has_own_mounts(d)) d.b.init("linux.rootfsPropagation", PropagationRoot{propagation});
  d.b.init("root", AttachRoot{d.rootfs, d.b.str(absolute_source(d, d.spec.root->path))});
  add_mounts(d);
  add_devices(d);
}

static std::vector<std::pair<std::string, std::string>> distinct_paths(const spec::Strings& paths,
                                                                       std::string_view origin) {
  std::vector<std::pair<std::string, std::string>> out;  // path, JSON path
  std::set<std::string> known;
  for (size_t i = 0; i < paths.size(); ++i) {
    const std::string where = cat(origin, "[", i, "]");
    std::string path = clean_path(paths[i]);
    if (path == "/") throw Error::at(where, "the container's root cannot be hidden or protected");
    if (known.insert(path).second) out.emplace_back(std::move(path), where);
  }
  return out;
}

static void add_readonly_paths(Draft& d) {
  for (const auto& [path, origin] :
       distinct_paths(d.spec.linux->readonlyPaths, "linux.readonlyPaths"))
    d.b.init(origin, ReadonlyPath{d.b.str(path)}, OnError::kSkipMissing);
}

static void add_masked_paths(Draft& d) {
  const auto paths = distinct_paths(d.spec.linux->maskedPaths, "linux.maskedPaths");
  if (paths.empty()) return;
  d.null = d.b.slot();
  d.b.init("linux.maskedPaths", HostNull{d.null});
  const bool labelled = d.host.selinux && !d.spec.linux->mountLabel.empty();
  const Ref label = labelled ? d.b.str(d.spec.linux->mountLabel) : Ref{0};
  for (const auto& [path, origin] : paths)
    d.b.init(origin, MaskPath{d.b.str(path), d.null, label}, OnError::kSkipMissing);
}

static bool has_shared_root(const Draft& d) {
  bool shared = false;
  for (const PlannedMount& m : d.mounts)
    if (m.new_root) shared = is_shared(m);
  return shared;
}

// What the root itself is at the end; until then it had to be writable, and not shared.
static void add_root_attributes(Draft& d) {
  const Propagation p = root_propagation(d);
  AttrList attrs;
  if (d.spec.root->readonly) attrs.change({MOUNT_ATTR_RDONLY, 0}, false);
  if (has_shared_root(d)) attrs.propagate(MS_SHARED, false);
  if (p.flag == MS_SHARED || p.flag == MS_UNBINDABLE) attrs.propagate(p.flag, p.recursive);
  const List list = attrs.into(d.b);
  if (list.count == 0) return;
  d.b.init(d.spec.root->readonly ? "root.readonly" : "linux.rootfsPropagation", RootAttr{list});
}

void add_pivot(Draft& d) {
  add_late_readonly(d);
  add_readonly_paths(d);
  add_masked_paths(d);
  uint32_t flags = d.create.no_pivot ? kPivotChroot : 0;
  if (!has_own_mounts(d)) flags = kPivotHostMounts;
  d.b.init({}, PivotRoot{flags, d.null});
  add_root_attributes(d);
}

}  // namespace coracle::plan
