// Namespaces: those that exist are opened and checked, the init is born, its ids are mapped.
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>

#include "runtime/engine/birth.h"
#include "runtime/engine/failure.h"
#include "runtime/engine/idmap.h"
#include "runtime/engine/report.h"
#include "runtime/engine/steps.h"
#include "runtime/init/detached.h"
#include "runtime/plan/namespaces.h"
#include "runtime/sys/file.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::engine {

using spec::cat;
using spec::Error;

void run(Walk& w, const plan::IdmapUserns& p) {
  w.slots.set(p.slot, make_idmap_userns(w.view().str(p.uid_map), w.view().str(p.gid_map)));
}

void run(Walk& w, const plan::OpenNamespace& p) {
  const char* path = w.view().c_str(p.path);
  sys::Fd fd = sys::open_at(sys::At::cwd(), path, O_RDONLY | O_CLOEXEC);
  if (!fd) throw Error(cat("namespace path ", path), fd.error());
  const int type = ioctl(fd.get(), NS_GET_NSTYPE);
  if (type < 0) throw Error(cat("namespace path ", path, " is not a namespace file"), errno);
  if (static_cast<uint32_t>(type) != p.nstype)
    throw Error(cat("namespace path ", path, " is of type ",
                    plan::namespace_name(static_cast<uint32_t>(type)), ", wanted ",
                    plan::namespace_name(p.nstype)));
  w.slots.set(p.slot, std::move(fd));
}

void run(Walk& w, const plan::IdmapTree& p) {
  sys::Fd tree;
  w.await(plan::MessageKind::kDescriptor, &tree);
  init::Context& context = w.slots.context();
  const long r = init::set_attrs(context, tree.get(), p.attrs);
  if (r < 0)
    throw parent_failure(w.view(), w.step(), context.call, static_cast<int>(-r), context.text);
}

void run(Walk& w, const plan::Clone& p) {
  w.child = give_birth(w, p);
  w.placeholder.reset();
  if (w.occasions.born) w.occasions.born();
}

// The child that the init's report names, which may be false by now where others see the child:
// then it is no child of ours. Empty: there is none.
static sys::Fd open_forked(const Walk& w, pid_t& pid) {
  plan::Report report{};
  if (read_report(w.report, report) < 0 || report.child <= 0) return {};
  sys::Fd pidfd = sys::pidfd_open(report.child);
  if (!pidfd || !sys::is_child(pidfd)) return {};
  pid = report.child;
  return pidfd;
}

// However the init itself ended: what counts is whether its child is there.
void run(Walk& w, const plan::Adopt&) {
  const pid_t init = std::exchange(w.child.pid, 0);
  int status = 0;
  const int r = sys::reap(init, status);
  if (r < 0) throw Error("waiting for the container's init", r);
  w.child.pidfd = open_forked(w, w.child.pid);
  if (w.child.pid == 0) w.init_has_ended(init, status);
  if (w.occasions.born) w.occasions.born();
}

void run(Walk& w, const plan::IdMaps& p) {
  const plan::View v = w.view();
  write_id_maps(w.child.pid, v.str(p.uid_map), v.str(p.gid_map),
                (p.flags & plan::kMapsDenySetgroups) != 0, (p.flags & plan::kMapsUseHelpers) != 0);
}

// Both are the walk's own.
void run(Walk&, const plan::Meet&) {}

}  // namespace coracle::engine
