#include "runtime/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include <string>

#include "runtime/cgroup/resctrl.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::host {

using spec::Error;

static uint32_t effective_capabilities() {  // the first 32
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  return syscall(SYS_capget, &header, data) < 0 ? 0 : data[0].effective;
}

static bool has(uint32_t capabilities, int capability) {
  return (capabilities >> capability & 1) != 0;
}

bool has_sys_admin() { return has(effective_capabilities(), CAP_SYS_ADMIN); }

// Mounts belong to the user namespace in which their mount namespace was made; a new one without a
// mount namespace of its own (unshare --user) has no say in them (ioctl_nsfs(2)).
static bool owns_mounts() {
  const sys::Fd mounts = sys::open_at(sys::At::cwd(), "/proc/self/ns/mnt", O_RDONLY);
  const sys::Fd owner(mounts ? ioctl(mounts.get(), NS_GET_USERNS) : -1);
  struct stat of_mounts;
  struct stat ours;
  return owner && sys::stat_fd(owner, of_mounts) == 0 &&
         sys::stat_at(sys::At::cwd(), "/proc/self/ns/user", ours) == 0 &&
         of_mounts.st_ino == ours.st_ino;
}

static bool apparmor_enabled() {
  std::string text;
  return sys::read_file(sys::At::cwd(), "/sys/module/apparmor/parameters/enabled", text) == 0 &&
         text.starts_with('Y');
}

// SELinux is on exactly if its filesystem is mounted where everybody looks for it (selinux(8)).
static bool selinux_enabled() {
  struct statfs fs;
  return statfs("/sys/fs/selinux", &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

static std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  size_t begin = 0;
  while ((begin = text.find_first_not_of(" \n", begin)) != std::string_view::npos) {
    const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

// The line "0::/path" of /proc/self/cgroup (cgroups(7)).
static std::string own_cgroup() {
  std::string text;
  const int r = sys::read_file(sys::At::cwd(), "/proc/self/cgroup", text);
  if (r < 0) throw Error("/proc/self/cgroup", r);
  const size_t line = text.starts_with("0::") ? 0 : text.find("\n0::");
  if (line == std::string::npos)
    throw Error("this host has no cgroup v2 hierarchy: coracle needs cgroup v2");
  const size_t path = text.find('/', line);
  return text.substr(path, text.find('\n', path) - path);
}

static bool wants_controllers(const spec::Linux& linux) {
  if (!linux.resources) return false;
  const spec::LinuxResources& r = *linux.resources;
  return r.memory || r.cpu || r.pids || r.blockIO || !r.hugepageLimits.empty() || !r.rdma.empty() ||
         !r.unified.empty();
}

// LISTEN_FDS counts only if LISTEN_PID is this process (sd_listen_fds(3)).
static uint32_t listen_fds() {
  const char* count = getenv("LISTEN_FDS");
  const char* pid = getenv("LISTEN_PID");
  if (count == nullptr || pid == nullptr) return 0;
  const auto n = spec::parse_number(count, 1 << 16);
  const auto p = spec::parse_number(pid);
  return n && p && *p == static_cast<uint64_t>(getpid()) ? static_cast<uint32_t>(*n) : 0;
}

plan::Host probe_host(const spec::Spec& spec) {
  plan::Host host;
  host.euid = sys::effective_uid();
  host.egid = sys::effective_gid();
  host.all_root = sys::real_uid() == 0 && sys::real_gid() == 0 && host.euid == 0 && host.egid == 0;
  host.initial_userns = sys::in_initial_user_namespace();
  const uint32_t capabilities = effective_capabilities();
  host.privileged = has(capabilities, CAP_SYS_ADMIN) && (host.initial_userns || owns_mounts());
  host.traces = has(capabilities, CAP_SYS_PTRACE);
  host.listen_fds = listen_fds();
  const char* names = host.listen_fds > 0 ? getenv("LISTEN_FDNAMES") : nullptr;
  if (names != nullptr) host.listen_names = names;
  if (spec.process && !spec.process->apparmorProfile.empty()) host.apparmor = apparmor_enabled();
  const bool labels = (spec.process && !spec.process->selinuxLabel.empty()) ||
                      (spec.linux && !spec.linux->mountLabel.empty());
  if (labels) host.selinux = selinux_enabled();
  if (spec.linux && !spec.linux->cgroupsPath.starts_with('/')) host.cgroup_path = own_cgroup();
  if (spec.linux && wants_controllers(*spec.linux)) {
    std::string text;
    const int r = sys::read_file(sys::At::cwd(), "/sys/fs/cgroup/cgroup.controllers", text);
    if (r < 0) throw Error("/sys/fs/cgroup/cgroup.controllers", r);
    host.controllers = split(text);
  }
  if (spec.linux && spec.linux->intelRdt) host.resctrl = cgroup::find_resctrl();
  return host;
}

void check_handed_fds(uint32_t listen_fds, uint32_t preserve_fds) {
  for (uint32_t fd = 3; fd < 3 + listen_fds + preserve_fds; ++fd)
    if (fcntl(static_cast<int>(fd), F_GETFD) < 0)
      throw Error(
          spec::cat(fd < 3 + listen_fds ? "LISTEN_FDS: " : "--preserve-fds: ", "descriptor ", fd),
          errno);
}

}  // namespace coracle::host
