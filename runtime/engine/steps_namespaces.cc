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

// The init's pid, which it wrote into its report when it forked, may be false by now where others
// see the child: then it names no child of ours.
static sys::Fd open_forked(pid_t pid) {
  sys::Fd pidfd = pid > 0 ? sys::pidfd_open(pid) : sys::Fd(-ESRCH);
  if (!pidfd || !sys::is_child(pidfd)) throw Error("the container's init was lost when it forked");
  return pidfd;
}

void run(Walk& w, const plan::Adopt&) {
  int status = 0;
  const int r = sys::reap(w.child.pid, status);
  plan::Report report{};
  const int read = read_report(w.report, report);
  const bool forked = r == 0 && read == 0 && status == 0;
  w.child.pid = 0;
  if (!forked) {  // its failure is on the socket, or in the report
    w.await(plan::MessageKind::kReached);
    throw Error("the container's init did not fork");
  }
  w.child.pidfd = open_forked(report.child);
  w.child.pid = report.child;
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
