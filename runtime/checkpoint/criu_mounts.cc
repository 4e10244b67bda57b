#include "runtime/checkpoint/criu_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "runtime/init/paths.h"
#include "runtime/plan/mounts.h"
#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::checkpoint {

using criu::Pair;
using spec::cat;
using spec::Error;

static constexpr char kNull[] = "/dev/null";

static std::string source_of(const spec::Mount& mount, const std::string& bundle) {
  return mount.source.starts_with('/') ? std::string(mount.source) : cat(bundle, "/", mount.source);
}

// ---- checkpoint ----

namespace {

// The container's files as its processes see them.
class Inside {
 public:
  explicit Inside(pid_t pid) {
    const std::string path = cat("/proc/", pid, "/root");
    root_ = sys::open_at(sys::At::cwd(), path.c_str(), O_PATH | O_DIRECTORY);
    if (!root_) throw Error(path, root_.error());
    read_mount_points(pid);
  }

  // The file, and through all symlinks the name of it: what mountinfo has. An empty Fd if there is
  // no such file.
  sys::Fd open(const std::string& path, std::string& resolved) const {
    sys::Fd file =
        sys::open_at(root_, path.c_str(), O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    // Seen from another mount namespace the kernel's name begins at the container's root.
    if (!file || sys::path_of(file, resolved) < 0) resolved = path;
    return file;
  }
  bool is_mount_point(const std::string& path) const {
    return std::binary_search(mount_points_.begin(), mount_points_.end(), path);
  }

 private:
  void read_mount_points(pid_t pid) {
    const std::string path = cat("/proc/", pid, "/mountinfo");
    std::string text;
    const int r = sys::read_file(sys::At::cwd(), path.c_str(), text);
    if (r < 0) throw Error(path, r);
    std::string_view rest = text;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      for (int field = 1; field < 5; ++field)  // the fifth is the mount point
        line.remove_prefix(std::min(line.find(' '), line.size() - 1) + 1);
      mount_points_.emplace_back(line.substr(0, line.find(' ')));
    }
    std::sort(mount_points_.begin(), mount_points_.end());
  }

  sys::Fd root_;
  std::vector<std::string> mount_points_;
};

bool is_character_device(const sys::Fd& file) {
  struct stat st;
  return file && sys::stat_fd(file, st) == 0 && S_ISCHR(st.st_mode);
}

}  // namespace

std::vector<Pair> external_mounts_of(pid_t pid, const spec::Spec& spec) {
  const Inside inside(pid);
  std::vector<Pair> list;
  std::string resolved;
  for (const spec::Mount& mount : spec.mounts) {
    if (!spec::is_bind(mount)) continue;
    const std::string target = spec::clean_path(mount.destination);
    // For the path it resolves to; one that is not there keeps its own.
    sys::Fd(inside.open(target, resolved)).reset();
    list.push_back({resolved, target});
  }
  if (spec.linux) {
    for (std::string_view path : spec.linux->maskedPaths) {  // a directory has a tmpfs over it
      const sys::Fd file = inside.open(spec::clean_path(path), resolved);
      if (is_character_device(file)) list.push_back({resolved, kNull});
    }
  }
  for (const std::string& path : plan::device_paths(spec))
    if (inside.is_mount_point(path)) list.push_back({path, path});
  return list;
}

// ---- restore ----

static bool exists(const std::string& path) {
  struct stat st;
  return sys::stat_at(sys::At::cwd(), path.c_str(), st) == 0;
}

// The name that mountinfo has: criu goes up from it, name by name, to the mount that it is of.
static std::string real_source(const spec::Mount& mount, const std::string& bundle,
                               const std::string& origin) {
  const std::string source = source_of(mount, bundle);
  std::string real;
  const sys::Fd file = sys::open_at(sys::At::cwd(), source.c_str(), O_PATH);
  const int r = file ? sys::path_of(file, real) : -file.error();
  if (r < 0) throw Error::at(cat(origin, ".source"), Error(source, r).what());
  return real;
}

std::vector<Pair> external_mounts_for(const spec::Spec& spec, const std::string& bundle) {
  std::vector<Pair> list;
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    const spec::Mount& mount = spec.mounts[i];
    if (!spec::is_bind(mount)) continue;
    list.push_back(
        {spec::clean_path(mount.destination), real_source(mount, bundle, cat("mounts[", i, "]"))});
  }
  for (const std::string& path : plan::device_paths(spec))
    if (exists(path)) list.push_back({path, path});  // /dev/null, and with it what masks files
  return list;
}

static bool is_below(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

// The mount whose files the mount point of `target` belongs to; null: the rootfs.
static const spec::Mount* mount_around(const spec::Spec& spec, std::string_view target) {
  const spec::Mount* around = nullptr;
  size_t longest = 0;
  for (const spec::Mount& mount : spec.mounts) {
    const std::string candidate = spec::clean_path(mount.destination);
    if (!is_below(target, candidate) || candidate.size() < longest) continue;
    around = &mount;
    longest = candidate.size();
  }
  return around;
}

static void make_mount_point(const std::string& root, const std::string& path, bool directory,
                             const std::string& origin) {
  const sys::Fd dir = sys::open_at(sys::At::cwd(), root.c_str(), O_PATH | O_DIRECTORY);
  if (!dir) throw Error(root, dir.error());
  const auto context = std::make_unique<init::Context>();
  context->root = dir.get();
  context->procfs = context->mask_tmpfs = context->start = context->sync = context->parent = -1;
  const init::Target target = init::open_target(
      *context, path.c_str(), 0, directory ? init::Missing::kDirectory : init::Missing::kFile);
  const sys::Fd made(static_cast<int>(target.fd));
  if (!made) throw Error(cat(origin, ": mount point ", path, " in ", root), made.error());
}

void make_mount_points(const spec::Spec& spec, const std::string& bundle,
                       const std::string& rootfs) {
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    const spec::Mount& mount = spec.mounts[i];
    if (mount.type == "cgroup" || mount.type == "cgroup2") continue;  // comes with its sysfs
    const std::string target = spec::clean_path(mount.destination);
    bool directory = true;
    if (spec::is_bind(mount)) {
      struct stat st;
      const std::string source = source_of(mount, bundle);
      if (sys::stat_at(sys::At::cwd(), source.c_str(), st) < 0) continue;  // told of elsewhere
      directory = S_ISDIR(st.st_mode);
    }
    const spec::Mount* around = mount_around(spec, target);
    if (around != nullptr && !spec::is_bind(*around)) continue;
    const std::string origin = cat("mounts[", i, "]");
    if (around == nullptr) {
      make_mount_point(rootfs, target, directory, origin);
    } else {
      const size_t above = spec::clean_path(around->destination).size();
      make_mount_point(source_of(*around, bundle), target.substr(above), directory, origin);
    }
  }
}

}  // namespace coracle::checkpoint
