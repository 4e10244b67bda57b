#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "runtime/host/host_report.h"
#include "runtime/sys/file.h"
#include "tests/unit/temporary_directory.h"

using coracle::host::HostPlaces;
using coracle::host::report_host;
using coracle::spec::HostFacts;
namespace sys = coracle::sys;

namespace {

// A machine of files.
class Machine {
 public:
  void file(const std::string& path, std::string_view text, mode_t mode = 0600) {
    for (size_t i = 1; (i = path.find('/', i)) != path.npos; ++i)
      sys::mkdir_at(sys::At::cwd(), (dir_.path() + path.substr(0, i)).c_str(), 0700);
    const sys::Fd file =
        sys::open_at(sys::At::cwd(), (dir_.path() + path).c_str(), O_WRONLY | O_CREAT, 0, mode);
    REQUIRE(sys::write_all(file, text) == 0);
  }
  HostFacts report() const { return report_host(places_); }
  HostPlaces& places() { return places_; }
  const std::string& path() const { return dir_.path(); }

 private:
  coracle::tests::TemporaryDirectory dir_;
  HostPlaces places_{dir_.path(), "", "6.18.0-rc1", true};
};

std::string reason(const HostFacts& facts, std::string_view feature) {
  for (const auto& [name, why] : facts.lacks)
    if (name == feature) return why;
  return "";
}

void fill(Machine& m) {
  m.file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
  m.file("/sys/fs/cgroup/cgroup.pressure", "1\n");
  for (const char* ns : {"pid", "net", "mnt", "ipc", "uts", "user", "cgroup", "time"})
    m.file(std::string("/proc/self/ns/") + ns, "");
  m.file("/proc/sys/user/max_user_namespaces", "1000\n");
  m.file("/proc/sys/vm/memfd_noexec", "0\n");
  m.file("/sys/module/apparmor/parameters/enabled", "Y\n");
  m.file("/sys/fs/selinux/enforce", "1");
  m.file("/proc/sys/kernel/seccomp/actions_avail", "kill_process user_notif allow\n");
  m.file("/sys/fs/resctrl/schemata", "");
  m.file("/run/systemd/system/x", "");
  for (const char* program : {"criu", "newuidmap", "newgidmap"})
    m.file(std::string("/bin/") + program, "", 0700);
  m.places().path = "/nowhere:" + m.path() + "/bin";
}

}  // namespace

TEST_CASE("host report: a machine with everything lacks nothing") {
  Machine m;
  fill(m);
  const HostFacts facts = m.report();
  CHECK(facts.kernel == "6.18.0-rc1");
  CHECK(facts.controllers.size() == 8);
  const std::string first = facts.lacks.empty() ? "" : facts.lacks.front().first;
  CHECK(first == "");
}

TEST_CASE("host report: each thing that is missing is named with its reason") {
  const Machine empty;
  const HostFacts bare = empty.report();
  CHECK(reason(bare, "cgroup").find("no cgroup v2") != std::string::npos);
  CHECK(reason(bare, "namespace time") == "not compiled into the kernel");
  CHECK(reason(bare, "seccomp") == "not compiled into the kernel");
  for (const char* feature : {"apparmor", "selinux", "intelRdt", "checkpoint and restore",
                              "rootless with more than one id", "cgroup manager systemd"})
    CHECK_FALSE(reason(bare, feature).empty());
}

TEST_CASE("host report: controllers, sysctls and old kernels") {
  Machine m;
  fill(m);
  sys::unlink_at(sys::At::cwd(), (m.path() + "/sys/fs/cgroup/cgroup.controllers").c_str());
  m.file("/sys/fs/cgroup/cgroup.controllers", "cpu hugetlb\n");
  sys::unlink_at(sys::At::cwd(), (m.path() + "/proc/sys/user/max_user_namespaces").c_str());
  m.file("/proc/sys/user/max_user_namespaces", "0\n");
  m.places().kernel = "5.13.19-custom";
  m.places().privileged = false;
  const HostFacts facts = m.report();
  CHECK(reason(facts, "cgroup controller memory").find("cgroup.controllers") != std::string::npos);
  CHECK(reason(facts, "cgroup controller cpu").empty());
  CHECK(reason(facts, "namespace user") == "user.max_user_namespaces is 0");
  CHECK(reason(facts, "everything").find("5.14") != std::string::npos);
  CHECK_FALSE(reason(facts, "containers without a user namespace").empty());
}
