#include "runtime/execute/host_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>

#include "runtime/execute/child_steps.h"
#include "runtime/execute/idmap.h"
#include "runtime/execute/words.h"
#include "runtime/init/detached.h"
#include "runtime/plan/namespaces.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::execute {

using spec::cat;
using spec::Error;

void HostSteps::begin(std::vector<unsigned char>& block) {
  context_.base = block.data();
  context_.root = context_.procfs = context_.mask_tmpfs = context_.start = context_.sync = -1;
  slots_.resize(view().header().slots.count);
}

void HostSteps::set(plan::Slot slot, sys::Fd fd) {
  context_.fd(slot) = fd.get();
  slots_[static_cast<size_t>(slot)] = std::move(fd);
}

void HostSteps::run(const plan::IdmapUserns& p) {
  set(p.slot, make_idmap_userns(view().str(p.uid_map), view().str(p.gid_map)));
}

void HostSteps::run(const plan::OpenNamespace& p) {
  const char* path = view().c_str(p.path);
  sys::Fd fd = sys::open_at(sys::At::cwd(), path, O_RDONLY | O_CLOEXEC);
  if (!fd) throw Error(cat("namespace path ", path), fd.error());
  const int type = ioctl(fd.get(), NS_GET_NSTYPE);
  if (type < 0) throw Error(cat("namespace path ", path, " is no namespace"), errno);
  if (static_cast<uint32_t>(type) != p.nstype)
    throw Error(cat("namespace path ", path, " is of type ",
                    plan::namespace_name(static_cast<uint32_t>(type)), ", wanted ",
                    plan::namespace_name(p.nstype)));
  set(p.slot, std::move(fd));
}

void HostSteps::run(const plan::IdmapTree& p, const plan::Step& step, const sys::Fd& tree) {
  context_.call = plan::Call::k_none;
  context_.text[0] = '\0';
  const long r = init::set_attrs(context_, tree.get(), p.attrs);
  if (r < 0) throw parent_failure(view(), step, context_.call, static_cast<int>(-r), context_.text);
}

void HostSteps::run_shared(const plan::Step& step, pid_t child) {
  if (child > 0 && run_on_child(child, view(), step)) return;
  context_.call = plan::Call::k_none;
  context_.text[0] = '\0';
  const long r = init::run_step(context_, step);
  for (size_t i = 0; i < slots_.size(); ++i) {  // whatever the step opened gets its owner
    const int fd = context_.fd(static_cast<plan::Slot>(i));
    if (fd >= 0 && slots_[i].get() != fd) slots_[i] = sys::Fd(fd);
  }
  const bool skip = step.on_error == plan::OnError::kSkipMissing && (r == -ENOENT || r == -ENOTDIR);
  if (r >= 0 || skip) return;
  throw parent_failure(view(), step, context_.call, static_cast<int>(-r), context_.text);
}

}  // namespace coracle::execute
