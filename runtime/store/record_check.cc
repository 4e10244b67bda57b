// What a record may say. Whoever can write to the state directory could have written it, and
// `delete` ends processes and removes directories by it: so whatever is no possible value is
// refused, member by member.
#include <linux/sched.h>

#include <algorithm>
#include <climits>

#include "runtime/store/container.h"
#include "runtime/store/exit_record.h"
#include "runtime/store/record.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::store {
namespace {

using spec::cat;
using spec::Error;

constexpr pid_t kHighestPid = 1 << 22;  // PID_MAX_LIMIT of 64-bit kernels
constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME;
constexpr std::string_view kManagers[] = {"", "cgroupfs", "systemd", "disabled"};

void require(bool holds, const char* member, std::string_view reason) {
  if (!holds) throw Error::at(member, std::string(reason));
}

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }
bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), is_control);
}

std::string_view last_component(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

bool is_step(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= NAME_MAX;
}

// An absolute path, not the root, without empty, "." and ".." components and control characters.
bool is_settled(std::string_view path) {
  if (!path.starts_with('/') || path.size() >= PATH_MAX || !is_printable(path)) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view name = path.substr(0, path.find('/'));
    if (!is_step(name)) return false;
    path.remove_prefix(name.size());
  }
  return true;
}

void check_settled(std::string_view path, const char* member) {
  require(path.empty() || is_settled(path), member,
          cat("not an absolute path without \"..\": ", spec::quoted(path)));
}

void check_absolute(std::string_view path, const char* member) {
  const bool good = path.starts_with('/') && path.size() < PATH_MAX;
  require(path.empty() || good, member, cat("not an absolute path: ", spec::quoted(path)));
}

// Pid 1 is nobody's child: it may make containers, but it is none.
void check_process(const sys::ProcessId& process, const char* member, pid_t lowest) {
  if (process.pid == 0 && process.start_time == 0) return;
  require(process.pid >= lowest && process.pid <= kHighestPid, member,
          cat("no pid of a process: ", process.pid));
  require(process.start_time != 0, member, "the start time is missing");
}

bool has_form(std::string_view text, std::string_view form) {  // '0': a digit, 'x': a hex digit
  constexpr std::string_view kHex = "0123456789abcdef";
  if (text.size() != form.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t digit = kHex.find(text[i]);
    if (form[i] == '0' ? digit >= 10 : form[i] == 'x' ? digit >= 16 : text[i] != form[i])
      return false;
  }
  return true;
}

// As systemd.unit(5) and systemd::settle_unit have it.
bool is_unit(std::string_view unit) {
  constexpr std::string_view kOthers = ":-_.\\@";
  const bool good = std::all_of(unit.begin(), unit.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != kOthers.npos;
  });
  return good && unit.size() <= NAME_MAX && (unit.ends_with(".scope") || unit.ends_with(".slice"));
}

void check_unit(const Record& r) {
  if (r.unit.empty()) return require(r.bus.empty(), "systemdBus", "there is no systemdUnit");
  require(is_unit(r.unit), "systemdUnit",
          cat("no name of a systemd scope or slice: ", spec::quoted(r.unit)));
  require(r.cgroup_manager == "systemd", "systemdUnit", "cgroupManager is not \"systemd\"");
  require(r.cgroup_path.empty() || last_component(r.cgroup_path) == r.unit, "cgroupPath",
          cat("not the cgroup of ", r.unit, ": ", spec::quoted(r.cgroup_path)));
  require(r.bus.starts_with("unix:") && is_printable(r.bus) && r.bus.size() < PATH_MAX,
          "systemdBus", cat("no D-Bus address: ", spec::quoted(r.bus)));
}

void check_cgroup(const Record& r) {
  check_settled(r.cgroup_path, "cgroupPath");
  const auto* manager = std::find(std::begin(kManagers), std::end(kManagers), r.cgroup_manager);
  require(manager != std::end(kManagers), "cgroupManager",
          cat("unknown: ", spec::quoted(r.cgroup_manager)));
  check_unit(r);
}

// The groups that `delete` removes have the container's name.
void check_resctrl(const Record& r) {
  check_settled(r.intel_rdt, "intelRdt");
  check_settled(r.intel_rdt_group, "intelRdtGroup");
  check_settled(r.intel_rdt_monitor, "intelRdtMonitor");
  require(r.intel_rdt.empty() || last_component(r.intel_rdt) == r.id, "intelRdt",
          cat("not a group of this container: ", spec::quoted(r.intel_rdt)));
  require(r.intel_rdt_monitor.empty() || r.intel_rdt_monitor.ends_with(cat("/mon_groups/", r.id)),
          "intelRdtMonitor",
          cat("not a monitoring group of this container: ", spec::quoted(r.intel_rdt_monitor)));
}

void check_time(std::string_view time, const char* member) {
  require(has_form(time, "0000-00-00T00:00:00.000000000Z"), member,
          cat("not a time as RFC 3339 has it: ", spec::quoted(time)));
}

}  // namespace

void check(const Record& r) {
  require(is_good_id(r.id), "id", cat("no id of a container: ", spec::quoted(r.id)));
  check_absolute(r.bundle, "bundle");
  check_absolute(r.rootfs, "rootfs");
  check_process(r.process, "process", 2);
  check_process(r.creator, "creator", 1);
  require(r.phase != Phase::kCreated || r.process.pid != 0, "process", "is missing");
  require(has_form(r.boot_id, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"), "bootID",
          cat("not a boot id: ", spec::quoted(r.boot_id)));
  check_cgroup(r);
  require(is_printable(r.shim), "shim", cat("no address: ", spec::quoted(r.shim)));
  check_time(r.created, "created");
  require((r.namespaces & ~kNamespaces) == 0, "namespaces", "has bits of no namespace");
  require(r.rootfs_mount == 0 || !r.rootfs.empty(), "rootfs", "is missing");
  check_resctrl(r);
}

void check(const Exit& exit) {
  constexpr int kHighestSignal = 64, kHighestCode = 255, kBySignal = 128;
  require(exit.code >= 0 && exit.code <= kHighestCode, "code", "no exit status");
  require(exit.signal >= 0 && exit.signal <= kHighestSignal, "signal", "no signal");
  require(exit.signal == 0 || exit.code == kBySignal + exit.signal, "code",
          "not 128 and the signal's number");
  check_time(exit.time, "time");
}

}  // namespace coracle::store
