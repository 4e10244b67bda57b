#include "runtime/cgroup/fs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "runtime/cgroup/control.h"
#include "runtime/cgroup/settle.h"
#include "runtime/plan/format.h"
#include "runtime/sys/bpf.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::cgroup {
namespace {

using spec::cat;
using spec::Error;
using sys::Fd;

constexpr char kMountPoint[] = "/sys/fs/cgroup";
// cgroupfs has neither symlinks nor mounts below it that would be ours to follow.
constexpr uint64_t kBelow = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;

using Names = std::vector<std::string_view>;

// The words of a line such as "cpuset cpu io\n".
Names words(std::string_view text) {
  Names out;
  constexpr std::string_view kSpace = " \n";
  for (size_t end = 0;;) {
    const size_t begin = text.find_first_not_of(kSpace, end);
    if (begin == text.npos) return out;
    end = std::min(text.find_first_of(kSpace, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
  }
}

bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The path below the mount as a path relative to it.
std::string relative(std::string_view path) {
  return std::string(path.size() > 1 ? path.substr(1) : ".");
}

// ---- making --------------------------------------------------------------------------------

// The parent's path; "" above the first level.
std::string_view parent_of(std::string_view path) { return path.substr(0, path.rfind('/')); }

// Removes the levels of `path` behind its first `found` bytes, the deepest first.
void remove_levels(const Fd& mount, std::string_view path, size_t found) {
  // An error means that someone else uses the level by now: it and those above stay.
  while (path.size() > found && sys::rmdir_at(mount, relative(path).c_str()) == 0) {
    path = parent_of(path);
  }
}

// Makes the missing levels. Returns how much of the path was there.
size_t make_levels(const Fd& mount, std::string_view path) {
  int r = sys::mkdir_at(mount, relative(path).c_str(), 0755);
  if (r == 0) return parent_of(path).size();
  if (r == -EEXIST) return path.size();
  if (r != -ENOENT) throw Error(cat("cannot make cgroup ", path), r);

  size_t found = path.size();
  for (size_t end = 0; end < path.size();) {
    const size_t begin = end;
    end = std::min(path.find('/', begin + 1), path.size());
    r = sys::mkdir_at(mount, relative(path.substr(0, end)).c_str(), 0755);
    if (r == 0) {
      found = std::min(found, begin);
    } else if (r != -EEXIST) {
      remove_levels(mount, path.substr(0, begin), found);
      throw Error(cat("cannot make cgroup ", path.substr(0, end)), r);
    }
  }
  return found;
}

void refuse_used(const Cgroup& cgroup) {
  if (is_populated(cgroup)) {
    throw Error(cat("container's cgroup is not empty: ", pids(cgroup, true).size(),
                    " process(es) found in ", cgroup.path));
  }
  if (is_frozen(cgroup)) {
    throw Error(cat("container's cgroup unexpectedly frozen: ", cgroup.path));
  }
}

// ---- controllers ---------------------------------------------------------------------------

// What keeps a wanted controller away, for the message.
struct Refusal {
  std::string level;
  std::string controller;
  int error = 0;
};

std::string read_controllers(const Fd& mount, std::string_view path) {
  std::string text;
  const std::string file = relative(path) + "/cgroup.controllers";
  // Missing means none: the mount's root may belong to a cgroup namespace and lack it.
  if (int r = sys::read_file(mount, file.c_str(), text); r < 0 && r != -ENOENT) {
    throw Error(cat("cannot read cgroup.controllers of ", path), r);
  }
  return text;
}

// Lets the children of `level` have every controller that it has itself, or, with Pass::kWanted,
// those of them that are wanted. Some cannot be had, each
// for a reason of its own (EBUSY: the level has processes; EINVAL: cpu with real-time processes;
// ENOENT: gone meanwhile); whether one that we need is among them shows in the end.
void pass_on(const Fd& mount, std::string_view level, const Names& wanted, Pass pass,
             Refusal& refusal) {
  const std::string text = read_controllers(mount, level);
  const std::string file = relative(level) + "/cgroup.subtree_control";
  Names names = words(text);
  if (pass == Pass::kWanted)
    names.erase(std::remove_if(names.begin(), names.end(),
                               [&](std::string_view name) { return !contains(wanted, name); }),
                names.end());
  std::string all;
  for (std::string_view name : names) spec::append(all, all.empty() ? "+" : " +", name);
  if (all.empty() || sys::write_attribute(mount, file.c_str(), all) == 0) return;
  for (std::string_view name : names) {
    const int r = sys::write_attribute(mount, file.c_str(), cat('+', name));
    if (r < 0 && refusal.error == 0 && contains(wanted, name)) {
      refusal = {cat(level, "/cgroup.subtree_control"), std::string(name), -r};
    }
  }
}

// The first of the wanted controllers that the cgroup does not have, or "".
std::string_view first_missing(const Fd& mount, const Cgroup& cgroup, const Names& wanted) {
  if (wanted.empty()) return "";
  const std::string text = read_controllers(mount, cgroup.path);
  const Names have = words(text);
  for (std::string_view name : wanted) {
    if (!contains(have, name)) return name;
  }
  return "";
}

void enable_above(const Fd& mount, const Cgroup& cgroup, const Names& wanted,
                  Pass pass = Pass::kAll) {
  Refusal refusal;
  const std::string_view path = cgroup.path;
  for (size_t end = 0; end != path.npos; end = path.find('/', end + 1)) {
    pass_on(mount, path.substr(0, end), wanted, pass, refusal);
  }
  const std::string_view missing = first_missing(mount, cgroup, wanted);
  if (missing.empty()) return;
  settle_type(mount, cgroup, wanted);  // throws with a better reason, if that is the reason
  const std::string what =
      cat("cannot enable controller ", spec::quoted(missing), " for cgroup ", path);
  if (refusal.error == 0) throw Error(what + ": nothing above it offers this controller");
  throw Error(cat(what, ": write +", refusal.controller, " to ", refusal.level), refusal.error);
}

// Controllers that may be used inside of a threaded cgroup (cgroup-v2.rst, "Threads").
bool is_threaded(std::string_view controller) {
  return controller == "cpu" || controller == "cpuset" || controller == "pids" ||
         controller == "perf_event";
}

// ---- files ---------------------------------------------------------------------------------

// `list` up to the next line feed, which is taken away with it.
std::string_view take_line(std::string_view& list) {
  const size_t end = list.find('\n');
  const std::string_view line = list.substr(0, end);
  list = end == list.npos ? "" : list.substr(end + 1);
  return line;
}

[[noreturn]] void fail_write(const Cgroup& cgroup, std::string_view file, std::string_view value,
                             int error) {
  // The words of ENOENT would make an engine believe that the container's program is missing.
  if (error == -ENOENT) throw Error(cat("cgroup ", cgroup.path, " has no file ", file));
  throw Error(cat("cannot write ", spec::quoted(value), " to ", file, " of cgroup ", cgroup.path),
              error);
}

void write_file(const Cgroup& cgroup, std::string_view file, std::string_view value,
                uint32_t flags) {
  const int r = sys::write_attribute(cgroup.dir, std::string(file).c_str(), value);
  if (r == 0) return;
  if (r == -ENOENT && (flags & plan::kCgroupIgnoreMissing)) return;
  if (r == -EINVAL && (flags & plan::kCgroupIgnoreInvalid)) return;
  fail_write(cgroup, file, value, r);
}

void write_first(const Cgroup& cgroup, std::string_view files, std::string_view values) {
  for (;;) {
    const std::string_view file = take_line(files);
    const std::string_view value = take_line(values);
    const int r = sys::write_attribute(cgroup.dir, std::string(file).c_str(), value);
    if (r == 0) return;
    if (r != -ENOENT || files.empty()) fail_write(cgroup, file, value, r);
  }
}

}  // namespace

Fd open_mount() {
  Fd mount = sys::open_at(sys::At::cwd(), kMountPoint, O_PATH | O_DIRECTORY);
  uint64_t magic = 0;
  if (mount && sys::file_system_type(mount, magic) == 0 && magic == CGROUP2_SUPER_MAGIC) {
    return mount;
  }
  throw Error(cat("coracle needs cgroup v2 mounted on ", kMountPoint,
                  "; this host has cgroup v1 or hybrid, or nothing there"));
}

std::vector<std::string> available_controllers(const Fd& mount) {
  const std::string text = read_controllers(mount, "");
  const Names names = words(text);
  return {names.begin(), names.end()};
}

Cgroup try_open(const Fd& mount, std::string_view path) {
  Cgroup cgroup;
  cgroup.path = path;
  cgroup.found = path.size();
  cgroup.dir = sys::open_at(mount, relative(path).c_str(), O_RDONLY | O_DIRECTORY, kBelow);
  return cgroup;
}

Cgroup open(const Fd& mount, std::string_view path) {
  Cgroup cgroup = try_open(mount, path);
  if (!cgroup.dir) throw Error(cat("cannot open cgroup ", path), cgroup.dir.error());
  return cgroup;
}

void check_unused(const Fd& mount, std::string_view path) {
  const Cgroup cgroup = try_open(mount, path);
  if (cgroup.dir) return refuse_used(cgroup);
  if (cgroup.dir.error() != ENOENT)
    throw Error(cat("cannot open cgroup ", path), cgroup.dir.error());
}

Cgroup make(const Fd& mount, std::string_view path, const Names& controllers) {
  const size_t found = make_levels(mount, path);
  try {
    Cgroup cgroup = cgroup::open(mount, path);
    cgroup.found = found;
    if (!cgroup.is_new()) refuse_used(cgroup);
    const bool made_above = found < parent_of(path).size();
    if (made_above) {
      enable_above(mount, cgroup, controllers);
    } else {
      enable_controllers(mount, cgroup, controllers);
    }
    return cgroup;
  } catch (const Error&) {
    remove_levels(mount, path, found);
    throw;
  }
}

void undo_make(const Fd& mount, const Cgroup& cgroup) noexcept {
  remove_levels(mount, cgroup.path, cgroup.found);
}

void enable_controllers(const Fd& mount, const Cgroup& cgroup, const Names& controllers,
                        Pass pass) {
  if (first_missing(mount, cgroup, controllers).empty()) return;
  enable_above(mount, cgroup, controllers, pass);
}

void settle_type(const Fd& mount, const Cgroup& cgroup, const Names& controllers) {
  const bool domain = !std::all_of(controllers.begin(), controllers.end(), is_threaded);
  const std::string_view path = cgroup.path;
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string_view level = path.substr(0, end);
    const std::string file = relative(level) + "/cgroup.type";
    std::string type;
    if (int r = sys::read_file(mount, file.c_str(), type)) {
      throw Error(cat("cannot read cgroup.type of ", level), r);
    }
    if (!type.empty() && type.back() == '\n') type.pop_back();
    if (type != "domain" && domain) {
      throw Error(cat("cgroup ", level, " is ", spec::quoted(type),
                      ": controllers of whole processes cannot be used there"));
    }
    if (type == "domain invalid") {
      if (int r = sys::write_attribute(mount, file.c_str(), "threaded")) {
        throw Error(cat("cannot make cgroup ", level, " threaded"), r);
      }
    }
    if (end == path.npos) return;
  }
}

void write_limit(const Cgroup& cgroup, std::string_view file, std::string_view value,
                 uint32_t flags) {
  if (flags & plan::kCgroupFirstFile) return write_first(cgroup, file, value);
  if (!(flags & plan::kCgroupPerLine)) return write_file(cgroup, file, value, flags);
  do {
    write_file(cgroup, file, take_line(value), flags);
  } while (!value.empty());
}

void check_memory(const Cgroup& cgroup, const spec::LinuxMemory& memory) {
  const int64_t limit = memory.limit.value_or(0);
  const int64_t swap = memory.swap.value_or(0);
  if (!memory.checkBeforeUpdate.value_or(false) || (limit <= 0 && swap <= 0)) return;
  std::string text;
  if (int r = sys::read_file(cgroup.dir, "memory.current", text)) {
    if (r == -ENOENT) return;  // not accounted yet, so nothing is in use
    throw Error(cat("cannot read memory.current of cgroup ", cgroup.path), r);
  }
  int64_t usage = 0;
  std::from_chars(text.data(), text.data() + text.size(), usage);
  if (swap > 0 && swap <= usage) {
    throw Error::at("linux.resources.memory.swap",
                    cat("rejecting memory+swap limit ", swap, " <= usage ", usage));
  }
  if (limit > 0 && limit <= usage) {
    throw Error::at("linux.resources.memory.limit",
                    cat("rejecting memory limit ", limit, " <= usage ", usage));
  }
}

void attach_devices(const Cgroup& cgroup, const uint64_t* instructions, size_t count) {
  Fd program = sys::load_device_program(instructions, count);
  if (!program) {
    throw Error(cat("cannot load the device program of cgroup ", cgroup.path), program.error());
  }
  const int r = cgroup.is_new() ? sys::attach_device_program(cgroup.dir, program)
                                : sys::replace_device_program(cgroup.dir, program);
  if (r < 0) throw Error(cat("cannot attach the device program to cgroup ", cgroup.path), r);
}

void delegate(const Cgroup& cgroup, uint32_t uid, uint32_t gid) {
  std::string list;
  // Since Linux 4.15; in a sandbox without sysfs the three that every kernel has.
  if (sys::read_file(sys::At::cwd(), "/sys/kernel/cgroup/delegate", list) < 0) {
    list = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
  }
  Names files = words(list);
  files.insert(files.begin(), ".");
  for (std::string_view name : files) {
    if (name.find('/') != name.npos) continue;
    const int r = sys::chown_at(cgroup.dir, std::string(name).c_str(), uid, gid);
    // Files of controllers that this cgroup does not have are listed as well.
    if (r < 0 && r != -ENOENT) {
      throw Error(cat("cannot change the owner of ", name, " of cgroup ", cgroup.path), r);
    }
  }
}

void move(const Cgroup& cgroup, pid_t pid) {
  write_file(cgroup, "cgroup.procs", std::to_string(pid), 0);
}

Cgroup enter_leaf(const Fd& mount, const Cgroup& cgroup, std::string_view sub, pid_t pid) {
  Cgroup leaf;
  leaf.path = cat(cgroup.path, '/', settle_sub_path(sub));
  leaf.found = make_levels(mount, leaf.path);
  leaf.dir = sys::open_at(mount, relative(leaf.path).c_str(), O_RDONLY | O_DIRECTORY, kBelow);
  if (!leaf.dir) throw Error(cat("cannot open cgroup ", leaf.path), leaf.dir.error());
  move(leaf, pid);
  Refusal refusal;  // none is wanted more than the others
  for (size_t end = cgroup.path.size(); end < leaf.path.size();
       end = std::min(leaf.path.find('/', end + 1), leaf.path.size()))
    pass_on(mount, leaf.path.substr(0, end), {}, Pass::kAll, refusal);
  return leaf;
}

Cgroup open_sub(const Cgroup& cgroup, std::string_view sub) {
  const std::string below = settle_sub_path(sub);
  Cgroup result;
  result.path = below.empty() ? cgroup.path : cat(cgroup.path, '/', below);
  result.found = result.path.size();
  result.dir =
      sys::open_at(cgroup.dir, below.empty() ? "." : below.c_str(), O_RDONLY | O_DIRECTORY, kBelow);
  if (!result.dir) throw Error(cat("cannot open cgroup ", result.path), result.dir.error());
  return result;
}

}  // namespace coracle::cgroup
