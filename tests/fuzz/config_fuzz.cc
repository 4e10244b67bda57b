// config.json: read, checked, its seccomp profile compiled, and planned for create, for exec and
// for mounts of a running container, as root with and without systemd and as a user. A plan can be
// told as a table and as JSON.
#include <linux/filter.h>

#include "runtime/plan/describe.h"
#include "runtime/plan/hot_mounts.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/seccomp.h"
#include "spec/json.h"
#include "spec/validate.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::accepts;
using fuzz::require;

namespace {

constexpr uint64_t kJoin = 0x6c020000;  // CLONE_NEW*: pid, ipc, uts, mount, network

plan::Host root_of_a_machine() {
  plan::Host host;
  host.all_root = true;
  host.apparmor = host.selinux = true;
  host.cgroup_path = "/user.slice/session.scope";
  host.controllers = {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"};
  host.resctrl = "/sys/fs/resctrl";
  host.listen_fds = 2;
  host.listen_names = "a:b";
  return host;
}

plan::Host user_of_a_machine() {
  plan::Host host;
  host.euid = host.egid = 1000;
  host.privileged = false;
  host.cgroup_path = "/user.slice/session.scope";
  host.controllers = {"memory", "pids"};
  return host;
}

plan::CreateRequest request_for(const plan::Host& host, bool systemd) {
  plan::CreateRequest request;
  request.id = "id";
  request.bundle = "/bundle";
  request.cgroup_path = "/fuzz/id";
  request.start_follows = host.privileged;
  request.has_console_socket = systemd || !host.privileged;
  request.no_pivot = systemd;
  request.rootless_cgroup_errors_ignored = !host.privileged;
  if (!systemd) return request;
  request.unit = "fuzz-id.scope";
  request.slice = "user.slice";
  request.cgroup_path = "/user.slice/fuzz-id.scope";
  request.systemd_version = 252;
  return request;
}

void require_told(const std::vector<unsigned char>& block) {
  const plan::View view(block.data());
  require(!plan::to_table(view).empty(), "a plan has steps");
  spec::Text json(plan::to_json(view), "plan");
  json.visit([](const spec::Value& root, void*) { require(root.is_array(), "a plan is a list"); },
             nullptr);
}

struct Filter {
  plan::seccomp::Program program;
  bool is_there = false;
};

void plan_for(const spec::Spec& spec, const plan::Host& host, const Filter& filter, bool systemd) {
  plan::Warnings warnings;
  plan::CreateRequest request = request_for(host, systemd);
  if (filter.is_there) request.seccomp = &filter.program;
  accepts([&] { require_told(plan::make_create(spec, request, host, warnings)); });
  plan::ExecRequest exec;
  exec.id = "id";
  exec.join = kJoin;
  exec.seccomp = request.seccomp;
  if (spec.process)
    accepts([&] { require_told(plan::make_exec(spec, *spec.process, exec, host, warnings)); });
  plan::HotRequest hot;
  hot.id = "id";
  hot.bundle = "/bundle";
  hot.namespaces = kJoin;
  accepts([&] { require_told(plan::make_hot_mounts(spec, hot, host, warnings)); });
  accepts([&] { require_told(plan::make_hot_removal(spec, hot, host, warnings)); });
  fuzz::require_printable(warnings);
}

void read(std::string_view text) {
  const spec::Document document = spec::Document::parse_config(std::string(text), "config.json");
  plan::Warnings warnings;
  spec::validate(document, warnings);
  fuzz::require_printable(warnings);
  const spec::Spec& spec = document.spec;
  Filter filter;
  filter.is_there = spec.linux && spec.linux->seccomp;
  if (filter.is_there) filter.program = plan::seccomp::compile(*spec.linux->seccomp, warnings);
  require(filter.program.instructions.size() <= BPF_MAXINSNS, "a filter fits into the kernel");
  plan_for(spec, root_of_a_machine(), filter, false);
  plan_for(spec, root_of_a_machine(), filter, true);
  plan_for(spec, user_of_a_machine(), filter, false);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  accepts([&] { read(fuzz::text_of(data, size)); });
  return 0;
}
