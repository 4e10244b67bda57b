#include "shim/containerd/layers.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

constexpr size_t kLongestValue = 255;  // fsconfig(2)

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  for (;;) {
    const size_t end = text.find(':');
    out.emplace_back(text.substr(0, end));
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}

// In another working directory, for as long as it lives.
class Inside {
 public:
  explicit Inside(const char* directory) : before_(sys::open_at(sys::At::cwd(), ".", O_PATH)) {
    const sys::Fd there = sys::open_at(sys::At::cwd(), directory, O_PATH | O_DIRECTORY);
    if (!before_ || !there || fchdir(there.get()) < 0) throw Error(directory, errno);
  }
  ~Inside() {
    if (fchdir(before_.get()) < 0) _exit(1);  // it was our directory a moment ago
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  sys::Fd before_;
};

// In a mount namespace of our own, for as long as it lives; what is mounted there goes with it.
class Apart {
 public:
  Apart() : before_(sys::open_at(sys::At::cwd(), "/proc/self/ns/mnt", O_RDONLY)) {
    const int r = before_ ? sys::leave_mount_namespace() : -before_.error();
    if (r) throw Error("a mount namespace for an overlay's layers", r);
  }
  ~Apart() {
    if (sys::enter_mount_namespace(before_) < 0) _exit(1);  // ours a moment ago
  }
  Apart(const Apart&) = delete;
  Apart& operator=(const Apart&) = delete;

 private:
  sys::Fd before_;
};

sys::Fd make(const Overlay& overlay, const sys::FsOptions& options, std::string& words) {
  words.clear();
  return sys::new_filesystem("overlay", options, overlay.attributes, words);
}

// Since Linux 6.7: one by one (overlayfs.rst, "lowerdir+").
sys::Fd make_one_by_one(const Overlay& overlay, const std::vector<std::string>& layers,
                        std::string& words) {
  sys::FsOptions options = overlay.options;
  for (const std::string& path : layers) options.emplace_back("lowerdir+", path.c_str());
  return make(overlay, options, words);
}

// Before: names of a few characters, which mean something in the directory `inside`.
sys::Fd make_by_names(const Overlay& overlay, const std::vector<std::string>& names,
                      const char* inside, std::string& words) {
  std::string list;
  for (const std::string& name : names) spec::append(list, list.empty() ? "" : ":", name);
  if (list.size() > kLongestValue)
    throw Error(cat("overlay: ", names.size(), " layers are too many for this kernel"));
  const Inside directory(inside);
  sys::FsOptions options = overlay.options;
  options.emplace_back("lowerdir", list.c_str());
  return make(overlay, options, words);
}

sys::Fd must_open(const std::string& path) {
  sys::Fd fd = sys::open_at(sys::At::cwd(), path.c_str(), O_PATH | O_DIRECTORY);
  if (!fd) throw Error(cat("overlay: lower directory ", path), fd.error());
  return fd;
}

// A clone of the layer with its ids mapped, mounted on the directory.
void mount_mapped(const std::string& layer, const sys::Fd& userns, const std::string& directory) {
  const sys::Fd clone = sys::clone_mount(layer.c_str(), false);
  if (!clone) throw Error(cat("overlay: lower directory ", layer), clone.error());
  if (int r = sys::map_mount_ids(clone, userns, false))
    throw Error(cat("overlay: map the ids of ", layer), r);
  int r = sys::mkdir_at(sys::At::cwd(), directory.c_str(), 0700);
  if (r == 0) r = sys::attach_mount(clone, must_open(directory));
  if (r) throw Error(directory, r);
}

}  // namespace

sys::Fd make_overlay(const Overlay& overlay, std::string& words) {
  if (overlay.layers.size() <= kLongestValue) {
    const std::string value(overlay.layers);
    sys::FsOptions options = overlay.options;
    options.emplace_back("lowerdir", value.c_str());
    return make(overlay, options, words);
  }
  const std::vector<std::string> layers = split(overlay.layers);
  sys::Fd mount = make_one_by_one(overlay, layers, words);
  if (mount.error() != EINVAL) return mount;
  std::vector<sys::Fd> fds;
  std::vector<std::string> names;
  for (const std::string& path : layers) {
    fds.push_back(must_open(path));
    names.push_back(std::to_string(fds.back().get()));
  }
  return make_by_names(overlay, names, "/proc/self/fd", words);
}

// An overlay wants its layers to be mounted in our mount namespace (until Linux 6.15), but nobody
// else has to see them there, whenever we may be killed.
sys::Fd make_mapped_overlay(const Overlay& overlay, const sys::Fd& userns, const std::string& place,
                            std::string& words) {
  const Apart apart;
  const sys::Fd scratch = sys::new_filesystem("tmpfs", {}, 0, words);
  if (!scratch) throw Error("tmpfs", scratch.error());
  if (int r = sys::attach_mount(scratch, must_open(place))) throw Error(place, r);
  const std::vector<std::string> layers = split(overlay.layers);
  std::vector<std::string> names, paths;
  for (size_t i = 0; i < layers.size(); ++i) {
    names.push_back(std::to_string(i));
    paths.push_back(cat(place, "/", i));
    mount_mapped(layers[i], userns, paths.back());
  }
  sys::Fd mount = make_one_by_one(overlay, paths, words);
  if (mount.error() != EINVAL) return mount;
  return make_by_names(overlay, names, place.c_str(), words);
}

}  // namespace coracle::shim
