// The container's cgroup, made and bounded by ourselves (by systemd: unit.cc).
#include "runtime/cgroup/fs.h"
#include "runtime/engine/steps.h"
#include "spec/error.h"

namespace coracle::engine {

void forget_cgroup(Walk& w) {
  w.setting.container.record().cgroup_path.clear();
  w.setting.container.save();
}

void run(Walk& w, const plan::CgroupMake& p) {
  const plan::View v = w.view();
  std::vector<std::string_view> controllers;
  for (uint32_t i = 0; i < p.controllers.count; ++i)
    controllers.push_back(v.str(v.list<plan::Ref>(p.controllers)[i]));
  w.cgroup_mount = cgroup::open_mount();
  try {
    w.cgroup = cgroup::make(w.cgroup_mount, v.str(p.path), controllers);
  } catch (...) {
    // Nothing of ours is there, but it may be another container's, which must not be touched.
    forget_cgroup(w);
    throw;
  }
}

// Without a cgroup only writes that set nothing are in the plan (OnError::kWarn of CgroupMake).
void run(Walk& w, const plan::CgroupWrite& p) {
  if (!w.cgroup.dir) return;
  const plan::View v = w.view();
  cgroup::write_limit(w.cgroup, v.str(p.file), v.str(p.value), p.flags);
}

void run(Walk& w, const plan::CgroupDevices& p) {
  cgroup::attach_devices(w.cgroup, w.view().list<uint64_t>(p.instructions), p.instructions.count);
}

void run(Walk& w, const plan::CgroupDelegate& p) {
  if (w.cgroup.dir) cgroup::delegate(w.cgroup, p.uid, p.gid);  // else: nothing to hand over
}

void run(Walk& w, const plan::CgroupLeaf& p) {
  if (!w.cgroup.dir) return;
  const cgroup::Cgroup leaf =
      cgroup::enter_leaf(w.cgroup_mount, w.cgroup, w.view().str(p.path), w.child.pid);
  cgroup::delegate(leaf, p.uid, p.gid);
}

}  // namespace coracle::engine
