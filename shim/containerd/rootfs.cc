#include "shim/containerd/rootfs.h"

#include <fcntl.h>

#include <cerrno>
#include <string_view>

#include "runtime/engine/idmap.h"
#include "runtime/plan/mount_options.h"
#include "runtime/sys/file.h"
#include "runtime/sys/loop_device.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/mount_api.h"
#include "shim/containerd/layers.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

struct Prepared {
  plan::MountOptions options;
  sys::FsOptions fs;
  std::string_view layers;       // of an overlay; a view of the options as they came
  std::string uid_map, gid_map;  // lines of a map, or ""
  bool loop = false;
};

// "0:1000:10,10:5000:20" (inside, outside, count) as lines of a map.
std::string map_lines(std::string_view list) {
  std::string out(list);
  for (char& c : out) {
    if (c == ':') c = ' ';
    if (c == ',') c = '\n';
  }
  return out + "\n";
}

// True for an option that is not for the file system as it is.
bool take_own_option(std::string_view option, Prepared& out) {
  constexpr std::string_view kUidMap = "uidmap=", kGidMap = "gidmap=", kLayers = "lowerdir=";
  if (option.starts_with(kLayers)) out.layers = option.substr(kLayers.size());
  if (option.starts_with(kUidMap)) out.uid_map = map_lines(option.substr(kUidMap.size()));
  if (option.starts_with(kGidMap)) out.gid_map = map_lines(option.substr(kGidMap.size()));
  if (option == "loop") out.loop = true;
  return option.starts_with(kLayers) || option.starts_with(kUidMap) ||
         option.starts_with(kGidMap) || option == "loop" ||
         option.starts_with("X-containerd.");  // for whoever makes the list
}

Prepared prepare(const RootfsMount& wanted, spec::Mount& mount, const std::string& origin) {
  Prepared out;
  mount.type = wanted.type;
  mount.source = wanted.source;
  mount.destination = "/";
  for (const std::string& option : wanted.options)
    if (!take_own_option(option, out)) mount.options.emplace_back(option);
  out.options = plan::parse_mount_options(mount, origin);
  for (std::string_view flag : out.options.super) out.fs.emplace_back(flag, nullptr);
  // As with mount(2) the file system is read-only too, not its mount alone: a device may be.
  if ((out.options.attrs.set & MOUNT_ATTR_RDONLY) != 0) out.fs.emplace_back("ro", nullptr);
  for (const plan::DataOption& option : out.options.data)
    out.fs.emplace_back(option.key, option.value ? option.value->c_str() : nullptr);
  return out;
}

// Nothing in it unless ids are to be mapped; as with containerd, that takes both kinds.
sys::Fd userns_of(const Prepared& p) {
  if (p.uid_map.empty() || p.gid_map.empty()) return {};
  return engine::make_idmap_userns(p.uid_map, p.gid_map);
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

// The loop device is gone when nothing has it open or mounted any more.
sys::Fd make_filesystem(const std::string& type, const std::string& source, Prepared& p,
                        std::string& words) {
  std::string device = source;
  sys::Fd loop;
  if (p.loop) {
    loop = sys::make_loop_device(source.c_str(), (p.options.attrs.set & MOUNT_ATTR_RDONLY) != 0,
                                 device);
    if (!loop) throw Error(cat("loop device for ", source), loop.error());
  }
  if (!device.empty()) p.fs.emplace_back("source", device.c_str());
  words.clear();
  return sys::new_filesystem(type.c_str(), p.fs, p.options.attrs.set, words);
}

sys::Fd make_mount(const RootfsMount& wanted, const std::string& origin,
                   const std::string& rootfs) {
  spec::Mount mount;
  Prepared p = prepare(wanted, mount, origin);
  const sys::Fd userns = userns_of(p);
  std::string words;
  sys::Fd made;
  if (p.options.bind || wanted.type == "bind") {
    made = make_bind(mount, p.options);
  } else if (!p.layers.empty()) {
    if (!wanted.source.empty()) p.fs.emplace_back("source", wanted.source.c_str());
    const Overlay overlay = {p.layers, p.fs, p.options.attrs.set};
    made =
        userns ? make_mapped_overlay(overlay, userns, rootfs, words) : make_overlay(overlay, words);
  } else {
    made = make_filesystem(wanted.type, wanted.source, p, words);
  }
  if (!made) {
    throw Error(cat("mount of type ", spec::quoted(wanted.type), words.empty() ? "" : ": ", words),
                made.error());
  }
  if (!userns || !p.layers.empty()) return made;
  if (int r = sys::map_mount_ids(made, userns, p.options.rbind))
    throw Error(cat("map the ids of ", wanted.source), r);
  return made;
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
      const sys::Fd mount = make_mount(mounts[i], origin, rootfs);
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
