#include "runtime/cgroup/settle.h"

#include <climits>

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::cgroup {
namespace {

using spec::cat;
using spec::Error;

constexpr char kOrigin[] = "linux.cgroupsPath";

// Why the kernel or we would not take a path with this component; null if we do.
const char* fault_of(std::string_view name) {
  if (name == "..") return "must not contain \"..\"";
  if (name.size() > NAME_MAX) return "has a component of more than 255 bytes";
  if (name.find('\n') != name.npos) return "must not contain a line feed";
  return nullptr;
}

// "/a/b" out of "a//./b/"; "" if nothing is left. The first fault goes to `fault`.
std::string normalise(std::string_view path, const char*& fault) {
  std::string out;
  while (!path.empty() && !fault) {
    const size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path = slash == path.npos ? "" : path.substr(slash + 1);
    if (name.empty() || name == ".") continue;
    fault = fault_of(name);
    spec::append(out, '/', name);
  }
  return out;
}

}  // namespace

std::string settle_path(std::string_view cgroups_path, std::string_view id, std::string_view own) {
  std::string path;
  if (cgroups_path.empty() || cgroups_path.front() != '/') {
    if (own.empty() || own.front() != '/' || own.substr(0, 3) == "/..") {
      throw Error::at(kOrigin, cat("must be absolute here: the runtime's own cgroup ",
                                   spec::quoted(own), " is not below the cgroup2 mount"));
    }
    spec::append(path, own.substr(0, own.rfind('/')), '/');
  }
  path.append(cgroups_path.empty() ? id : cgroups_path);
  const char* fault = nullptr;
  std::string settled = normalise(path, fault);
  if (fault) throw Error::at(kOrigin, cat(spec::quoted(path), ' ', fault));
  if (settled.empty()) throw Error::at(kOrigin, "must not be the root of all cgroups");
  return settled;
}

std::string unified_path(std::string_view proc_cgroup) {
  while (!proc_cgroup.empty()) {
    const size_t end = proc_cgroup.find('\n');
    const std::string_view line = proc_cgroup.substr(0, end);
    if (line.substr(0, 3) == "0::") return std::string(line.substr(3));
    proc_cgroup = end == proc_cgroup.npos ? "" : proc_cgroup.substr(end + 1);
  }
  return "";
}

std::string settle_sub_path(std::string_view sub) {
  const char* fault = nullptr;
  std::string path = normalise(sub, fault);
  if (fault) throw Error(cat("bad sub cgroup path: ", sub));
  return path.empty() ? path : path.substr(1);
}

}  // namespace coracle::cgroup
