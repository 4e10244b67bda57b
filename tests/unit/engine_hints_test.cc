#include <doctest/doctest.h>
#include <errno.h>
#include <linux/sched.h>

#include "runtime/engine/hints.h"

using namespace coracle;

namespace {

// What is said of a mount of this type that fails in a container with these new namespaces.
std::string of_mount(const char* type, uint64_t namespaces, int error, bool userns = true) {
  plan::Builder b;
  plan::Clone clone{};
  clone.namespaces = namespaces;
  clone.flags = userns ? plan::kCloneUserns : 0;
  b.parent("", clone);
  plan::MountFs mount{};
  mount.fstype = b.str(type);
  b.init("mounts[0]", mount);
  const std::vector<unsigned char> block = b.finish();
  const plan::View view(block.data());
  return engine::why_denied(view, view.begin()[1], plan::Call::k_none, error);
}

bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a refused mount: the rule that is broken, by type and namespaces") {
  CHECK(has(of_mount("proc", 0, EPERM), "needs a pid namespace"));
  CHECK(has(of_mount("proc", CLONE_NEWPID, EPERM), "parts of /proc are hidden"));
  CHECK(has(of_mount("sysfs", CLONE_NEWPID, EPERM), "needs a network namespace"));
  CHECK(has(of_mount("sysfs", CLONE_NEWNET, EACCES), "parts of /sys are hidden"));
  CHECK(has(of_mount("mqueue", 0, EPERM), "needs an ipc namespace"));
  CHECK(has(of_mount("mqueue", 0, ENOENT), "needs an ipc namespace"));
  CHECK(has(of_mount("ext4", 0, EPERM), "few file systems"));
}

TEST_CASE("nothing is said of what the errno explains, nor without a user namespace") {
  CHECK(of_mount("proc", 0, EPERM, false) == "");
  CHECK(of_mount("proc", 0, EINVAL) == "");
  CHECK(of_mount("mqueue", CLONE_NEWIPC, ENOENT) == "");
}

TEST_CASE("pivot_root on an initial ramfs") {
  plan::Builder b;
  b.init("root", plan::PivotRoot{});
  const std::vector<unsigned char> block = b.finish();
  const plan::View view(block.data());
  const plan::Step& step = view.begin()[0];
  CHECK(has(engine::why_denied(view, step, plan::Call::k_pivot_root, EINVAL), "--no-pivot"));
  CHECK(engine::why_denied(view, step, plan::Call::k_openat2, EINVAL) == "");
}

TEST_CASE("why there is no user namespace") {
  CHECK(has(engine::why_no_userns(ENOSPC), "max_user_namespaces"));
  CHECK(has(engine::why_no_userns(EUSERS), "nested"));
  CHECK(engine::why_no_userns(EPERM) != "");
  CHECK(engine::why_no_userns(ENOMEM) == "");
}
