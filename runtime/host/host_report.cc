#include "runtime/host/host_report.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>

#include "runtime/host/host.h"
#include "runtime/host/subids.h"
#include "runtime/plan/mount_options.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "spec/text.h"

namespace coracle::host {

using spec::cat;

namespace {

class Report {
 public:
  explicit Report(const HostPlaces& places) : places_(places) { facts_.kernel = places.kernel; }

  spec::HostFacts take() {
    kernel();
    controllers();
    namespaces();
    security_modules();
    programs();
    privileges();
    return std::move(facts_);
  }

 private:
  bool read(std::string_view file, std::string& text) const {
    return sys::read_file(sys::At::cwd(), cat(places_.root, file).c_str(), text) == 0;
  }
  bool exists(std::string_view file) const {
    struct stat st;
    return sys::lstat_at(sys::At::cwd(), cat(places_.root, file).c_str(), st) == 0;
  }
  void lacks(std::string_view feature, std::string reason) {
    facts_.lacks.emplace_back(feature, std::move(reason));
  }

  bool is_before(unsigned major, unsigned minor) const {
    char* rest = nullptr;
    const unsigned long a = strtoul(places_.kernel.c_str(), &rest, 10);
    const unsigned long b = *rest == '.' ? strtoul(rest + 1, nullptr, 10) : 0;
    return a < major || (a == major && b < minor);
  }

  void kernel() {
    if (is_before(5, 14)) lacks("everything", "coracle needs Linux 5.14 or newer (cgroup.kill)");
    if (is_before(6, 3)) lacks("mount option idmap on tmpfs", "Linux 6.3 or newer");
    if (is_before(5, 19)) lacks("seccomp flag WAIT_KILLABLE_RECV", "Linux 5.19 or newer");
    if (is_before(6, 9)) lacks("memory policy MPOL_WEIGHTED_INTERLEAVE", "Linux 6.9 or newer");
    if (is_before(6, 15))
      lacks("wait, for who is not the parent", "Linux 6.15 or newer (PIDFD_GET_INFO)");
    std::string noexec;
    if (read("/proc/sys/vm/memfd_noexec", noexec) && noexec.starts_with('2'))
      lacks("init from a sealed memfd",
            "vm.memfd_noexec is 2: a file in the state root is used instead");
  }

  void controllers() {
    std::string text;
    if (!read("/sys/fs/cgroup/cgroup.controllers", text))
      return lacks("cgroup", "no cgroup v2 on /sys/fs/cgroup (cgroup v1 or hybrid?)");
    std::string_view rest = text;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find_first_of(" \n"), rest.size());
      if (end > 0) facts_.controllers.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(rest.size(), end + 1));
    }
    for (const char* name : {"cpu", "cpuset", "hugetlb", "io", "memory", "pids", "rdma"}) {
      const auto& have = facts_.controllers;
      if (std::find(have.begin(), have.end(), name) == have.end())
        lacks(cat("cgroup controller ", name),
              "not in /sys/fs/cgroup/cgroup.controllers: not compiled in, switched off by "
              "cgroup_disable=, or taken by cgroup v1");
    }
    if (!exists("/sys/fs/cgroup/cgroup.pressure") && !exists("/proc/pressure"))
      lacks("pressure in stats", "the kernel has no PSI, or it is off (psi=1)");
  }

  void namespaces() {
    static constexpr std::pair<std::string_view, std::string_view> kFiles[] = {
        {"pid", "pid"}, {"network", "net"}, {"mount", "mnt"},     {"ipc", "ipc"},
        {"uts", "uts"}, {"user", "user"},   {"cgroup", "cgroup"}, {"time", "time"}};
    for (const auto& [type, file] : kFiles)
      if (!exists(cat("/proc/self/ns/", file)))
        lacks(cat("namespace ", type), "not compiled into the kernel");
    std::string text;
    if (read("/proc/sys/user/max_user_namespaces", text) && text == "0\n")
      lacks("namespace user", "user.max_user_namespaces is 0");
    if (read("/proc/sys/kernel/unprivileged_userns_clone", text) && text == "0\n")
      lacks("rootless", "kernel.unprivileged_userns_clone is 0");
  }

  void security_modules() {
    std::string text;
    if (!read("/sys/module/apparmor/parameters/enabled", text) || !text.starts_with('Y'))
      lacks("apparmor", "AppArmor is not enabled in the kernel: profiles are ignored");
    if (!exists("/sys/fs/selinux/enforce"))
      lacks("selinux", "SELinux is not enabled in the kernel: labels are ignored");
    if (!read("/proc/sys/kernel/seccomp/actions_avail", text))
      return lacks("seccomp", "not compiled into the kernel");
    if (text.find("user_notif") == std::string::npos)
      lacks("seccomp action SCMP_ACT_NOTIFY", "not in kernel.seccomp.actions_avail");
  }

  bool has_program(std::string_view name) const {
    std::string_view rest = places_.path;
    while (!rest.empty()) {
      const std::string_view folder = rest.substr(0, rest.find(':'));
      rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
      struct stat st;
      const bool there = sys::stat_at(sys::At::cwd(), cat(folder, "/", name).c_str(), st) == 0;
      if (there && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0) return true;
    }
    return false;
  }

  void programs() {
    if (!exists("/sys/fs/resctrl/schemata"))
      lacks("intelRdt", "no resctrl file system on /sys/fs/resctrl");
    if (!has_program("criu"))
      lacks("checkpoint and restore", "no criu in PATH (Debian package criu)");
    if (!has_program("newuidmap") || !has_program("newgidmap"))
      lacks("rootless with more than one id",
            "no newuidmap and newgidmap in PATH (Debian package uidmap)");
    if (!exists("/run/systemd/system"))
      lacks("cgroup manager systemd", "systemd is not running here (no /run/systemd/system)");
  }

  void privileges() {
    if (places_.privileged) return;
    lacks("containers without a user namespace",
          "the caller has no CAP_SYS_ADMIN in the initial user namespace");
    std::string passwd;
    std::string ids;
    if (!read("/etc/passwd", passwd)) passwd.clear();
    for (const char* file : {"/etc/subuid", "/etc/subgid"})
      if (!read(file, ids) || !granted_range(ids, name_in(passwd, places_.uid), places_.uid))
        return lacks("rootless with more than one id", cat(file, " grants the caller no ids"));
  }

  const HostPlaces& places_;
  spec::HostFacts facts_;
};

}  // namespace

HostPlaces this_host() {
  HostPlaces places;
  const char* path = getenv("PATH");
  places.path = path != nullptr ? path : "";
  struct utsname names;
  if (uname(&names) == 0) places.kernel = names.release;
  places.uid = sys::effective_uid();
  places.privileged = has_sys_admin() && sys::in_initial_user_namespace();
  return places;
}

spec::HostFacts report_host(const HostPlaces& places) { return Report(places).take(); }

std::vector<std::string_view> known_mount_options() { return plan::known_mount_options(); }

}  // namespace coracle::host
