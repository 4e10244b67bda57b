#include "runtime/commands/criu_options.h"

#include <linux/sched.h>

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::commands {
namespace {

using criu::CgroupMode;
using criu::NetworkLock;
using spec::cat;
using spec::Error;

CgroupMode cgroup_mode(std::string_view name) {
  if (name == "full") return CgroupMode::kFull;
  if (name == "strict") return CgroupMode::kStrict;
  if (name == "ignore") return CgroupMode::kIgnore;
  if (name == "soft") return CgroupMode::kSoft;
  throw Error(cat("unknown mode of cgroups ", spec::quoted(name)));  // the shim's is not an option
}

NetworkLock network_lock(std::string_view name) {
  if (name == "iptables") return NetworkLock::kIptables;
  if (name == "nftables") return NetworkLock::kNftables;
  return name == "skip" ? NetworkLock::kSkip : NetworkLock::kDefault;
}

uint32_t empty_namespaces(const Words& names) {
  uint32_t flags = 0;
  for (std::string_view name : names) {
    if (name != "network")
      throw Error(cat("option --empty-ns: ", spec::quoted(name), ": criu knows network only"));
    flags |= CLONE_NEWNET;
  }
  return flags;
}

}  // namespace

checkpoint::ImageOptions image_options(const ImageFlags& flags) {
  checkpoint::ImageOptions options;
  options.image_path = absolute_path(flags.image_path);
  options.work_path = absolute_path(flags.work_path);
  options.tcp_established = flags.tcp_established;
  options.ext_unix_sk = flags.ext_unix_sk;
  options.shell_job = flags.shell_job;
  options.file_locks = flags.file_locks;
  options.auto_dedup = flags.auto_dedup;
  options.lazy_pages = flags.lazy_pages;
  options.empty_namespaces = empty_namespaces(flags.empty_ns);
  options.cgroup_mode = cgroup_mode(flags.manage_cgroups_mode);
  options.network_lock = network_lock(flags.network_lock);
  return options;
}

}  // namespace coracle::commands
