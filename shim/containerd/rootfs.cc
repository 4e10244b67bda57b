#include "shim/containerd/rootfs.h"

#include <fcntl.h>

#include <cerrno>
#include <string_view>

#include "runtime/plan/mount_options.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

constexpr size_t kLongestValue = 255;  // fsconfig(2)

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (;;) {
    const size_t end = text.find(separator);
    out.emplace_back(text.substr(0, end));
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}

// The layers of an overlay whose list is too long for one value.
class Layers {
 public:
  explicit Layers(std::string_view list) : paths_(split(list, ':')) {}

  // Since Linux 6.7: one by one (overlayfs.rst, "lowerdir+").
  void add_one_by_one(sys::FsOptions& options) const {
    for (const std::string& path : paths_) options.emplace_back("lowerdir+", path.c_str());
  }

  // Before: names of two or three characters, by descriptor numbers. They mean something in the
  // directory /proc/self/fd, where the file system has to be made.
  void add_by_number(sys::FsOptions& options) {
    std::string list;
    for (const std::string& path : paths_) {
      fds_.push_back(sys::open_at(sys::At::cwd(), path.c_str(), O_PATH | O_DIRECTORY));
      if (!fds_.back()) throw Error(cat("overlay: lower directory ", path), fds_.back().error());
      spec::append(list, list.empty() ? "" : ":", fds_.back().get());
    }
    if (list.size() > kLongestValue)
      throw Error(cat("overlay: ", paths_.size(), " layers are too many for this kernel"));
    numbers_ = std::move(list);
    options.emplace_back("lowerdir", numbers_.c_str());
  }

 private:
  std::vector<std::string> paths_;
  std::vector<sys::Fd> fds_;
  std::string numbers_;
};

// In another working directory, for as long as it lives.
class Inside {
 public:
  explicit Inside(const char* directory) : before_(sys::open_at(sys::At::cwd(), ".", O_PATH)) {
    const sys::Fd there = sys::open_at(sys::At::cwd(), directory, O_PATH | O_DIRECTORY);
    if (!before_ || !there || fchdir(there.get()) < 0) throw Error(directory, errno);
  }
  ~Inside() { leave(); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  void leave() {
    if (fchdir(before_.get()) < 0) _exit(1);  // it was our directory a moment ago
  }
  sys::Fd before_;
};

struct Prepared {
  plan::MountOptions options;
  sys::FsOptions fs;
  std::string_view layers;  // if it is too long
};

Prepared prepare(const spec::Mount& mount, const std::string& origin) {
  Prepared out;
  out.options = plan::parse_mount_options(mount, origin);
  if (!mount.source.empty()) out.fs.emplace_back("source", mount.source.data());
  for (std::string_view flag : out.options.super) out.fs.emplace_back(flag, nullptr);
  for (const plan::DataOption& option : out.options.data) {
    if (option.key == "loop")
      throw Error::at(origin, "a loop device has to be set up by the snapshotter");
    if (option.key.starts_with("X-containerd.")) continue;  // for whoever makes the list
    if (option.key == "lowerdir" && option.value && option.value->size() > kLongestValue) {
      out.layers = *option.value;
    } else {
      out.fs.emplace_back(option.key, option.value ? option.value->c_str() : nullptr);
    }
  }
  return out;
}

sys::Fd make(const std::string& type, const Prepared& p, const sys::FsOptions& options,
             std::string& words) {
  words.clear();
  return sys::new_filesystem(type.c_str(), options, p.options.attrs.set, words);
}

sys::Fd make_layered(const std::string& type, const Prepared& p, std::string& words) {
  Layers layers(p.layers);
  sys::FsOptions options = p.fs;
  layers.add_one_by_one(options);
  sys::Fd mount = make(type, p, options, words);
  if (mount.error() != EINVAL) return mount;
  options = p.fs;
  layers.add_by_number(options);
  const Inside inside("/proc/self/fd");
  return make(type, p, options, words);
}

sys::Fd make_bind(const spec::Mount& mount, const plan::MountOptions& options) {
  sys::Fd tree = sys::clone_mount(mount.source.data(), options.rbind);
  if (!tree) throw Error(cat("bind ", mount.source), tree.error());
  if (!options.attrs.empty()) {
    const int r = sys::change_mount(tree, options.attrs.set, options.attrs.clr, false);
    if (r) throw Error(cat("bind ", mount.source, ": options"), r);
  }
  return tree;
}

sys::Fd make_mount(const RootfsMount& wanted, const std::string& origin) {
  spec::Mount mount;
  mount.type = wanted.type;
  mount.source = wanted.source;
  mount.destination = "/";
  for (const std::string& option : wanted.options) mount.options.emplace_back(option);
  const Prepared p = prepare(mount, origin);
  if (p.options.bind || wanted.type == "bind") return make_bind(mount, p.options);
  std::string words;
  sys::Fd fs =
      p.layers.empty() ? make(wanted.type, p, p.fs, words) : make_layered(wanted.type, p, words);
  if (fs) return fs;
  throw Error(cat("mount of type ", spec::quoted(wanted.type), words.empty() ? "" : ": ", words),
              fs.error());
}

// `target` is below the rootfs and may be a link there.
sys::Fd open_target(const std::string& rootfs, const std::string& target) {
  sys::Fd root = sys::open_at(sys::At::cwd(), rootfs.c_str(), O_PATH | O_DIRECTORY);
  if (!root) throw Error(rootfs, root.error());
  if (target.empty()) return root;
  sys::Fd fd = sys::open_at(root, target.c_str(), O_PATH, RESOLVE_IN_ROOT);
  if (!fd) throw Error(cat(rootfs, ": ", target), fd.error());
  return fd;
}

}  // namespace

void mount_rootfs(const std::vector<RootfsMount>& mounts, const std::string& rootfs) {
  if (mounts.empty()) return;
  const int made = sys::mkdir_at(sys::At::cwd(), rootfs.c_str(), 0711);
  if (made && made != -EEXIST) throw Error(cat("make ", rootfs), made);
  try {
    for (size_t i = 0; i < mounts.size(); ++i) {
      const std::string origin = cat("rootfs[", i, "]");
      const sys::Fd mount = make_mount(mounts[i], origin);
      const int r = sys::attach_mount(mount, open_target(rootfs, mounts[i].target));
      if (r) throw Error(cat(origin, ": attach to ", rootfs), r);
    }
  } catch (Error& e) {
    unmount_rootfs(rootfs);
    e.wrap("failed to mount rootfs component");
    throw;
  }
}

void unmount_rootfs(const std::string& rootfs) {
  for (;;) {
    const int r = sys::unmount(rootfs.c_str());
    if (r == -EINVAL || r == -ENOENT) return;
    if (r) throw Error(cat("unmount ", rootfs), r);
  }
}

}  // namespace coracle::shim
