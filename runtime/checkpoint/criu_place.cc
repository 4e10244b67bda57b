#include "runtime/checkpoint/criu_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/stat.h>

#include <algorithm>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/process.h"
#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::checkpoint {

using spec::cat;
using spec::Error;

// ---- directories ----

static sys::Fd open_directory(const std::string& path, bool make, const char* option) {
  if (make) {
    const int r = sys::mkdir_at(sys::At::cwd(), path.c_str(), 0700);
    if (r < 0 && r != -EEXIST) throw Error(cat(option, " ", path), r);
  }
  sys::Fd dir = sys::open_at(sys::At::cwd(), path.c_str(), O_RDONLY | O_DIRECTORY);
  if (!dir) throw Error(cat(option, " ", path), dir.error());
  return dir;
}

Images::Images(const ImageOptions& options, bool make, std::string log_name)
    : path_(options.image_path), work_path_(options.work_path), log_name_(std::move(log_name)) {
  dir_ = open_directory(path_, make, "--image-path");
  if (!work_path_.empty()) work_ = open_directory(work_path_, true, "--work-path");
}

std::string Images::log() const {
  return cat(work_path_.empty() ? path_ : work_path_, "/", log_name_);
}

// A bundle's own file goes before the host's. Whoever asks for none says so with an empty value.
static std::string config_file(const spec::Spec& spec) {
  for (const auto& [key, value] : spec.annotations)
    if (key == spec::kCriuConfig) return std::string(value);
  for (const char* path :
       {"/etc/criu/coracle.conf", "/etc/criu/crun.conf", "/etc/criu/runc.conf"}) {
    struct stat st;
    if (sys::stat_at(sys::At::cwd(), path, st) == 0) return path;
  }
  return "";
}

void Images::fill(const ImageOptions& from, const spec::Spec& spec, criu::Options& to) const {
  to.images_dir = dir_.get();
  if (work_) to.work_dir = work_.get();
  to.log_file = log_name_;
  to.config_file = config_file(spec);
  to.orphan_pts_master = true;
  to.tcp_established = from.tcp_established;
  to.ext_unix_sk = from.ext_unix_sk;
  to.shell_job = from.shell_job;
  to.file_locks = from.file_locks;
  to.auto_dedup = from.auto_dedup;
  to.lazy_pages = from.lazy_pages;
  to.empty_namespaces = from.empty_namespaces;
  to.cgroup_mode = from.cgroup_mode;
  to.network_lock = from.network_lock;
}

static const spec::LinuxIDMapping* mapping_of_root(const std::vector<spec::LinuxIDMapping>& map) {
  const auto found = std::find_if(map.begin(), map.end(), [](const spec::LinuxIDMapping& m) {
    return m.containerID == 0 && m.size > 0;
  });
  return found == map.end() ? nullptr : &*found;
}

void Images::let_in(const spec::Spec& spec) const {
  if (spec::find_namespace(spec, "user") == nullptr) return;
  const spec::LinuxIDMapping* group = mapping_of_root(spec.linux->gidMappings);
  struct stat st;
  int r = sys::stat_at(dir_, ".", st);
  if (r < 0) throw Error(cat("--image-path ", path_), r);
  if (group == nullptr || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) return;
  r = sys::chown_at(dir_, ".", static_cast<uid_t>(-1), group->hostID);
  if (r == 0) r = sys::chmod_fd(dir_, (st.st_mode & 07777) | S_IXGRP);
  if (r < 0) throw Error(cat("--image-path ", path_, ": give its group the right to search"), r);
}

// ---- mounts ----

static constexpr char kFolder[] = "criu";

std::string Stage::add(const char* name, const char* source, bool recursive) {
  const std::string folder = cat(container_.path(), "/", kFolder);
  std::string path = cat(folder, "/", name);
  for (const std::string& directory : {folder, path}) {
    const int r = sys::mkdir_at(sys::At::cwd(), directory.c_str(), 0700);
    if (r < 0 && r != -EEXIST) throw Error(directory, r);
  }
  sys::Fd tree = sys::slave_clone(source, recursive);
  if (!tree) throw Error(cat("clone the mounts of ", source), tree.error());
  trees_.push_back(std::move(tree));
  paths_.push_back(path);
  return path;
}

std::string Stage::add_root(const std::string& rootfs) { return add("root", rootfs.c_str(), true); }

std::string Stage::add_cgroups() {
  std::string text;
  const int r = sys::read_file(sys::At::cwd(), "/proc/self/cgroup", text);
  if (r < 0) throw Error("/proc/self/cgroup", r);
  if (std::count(text.begin(), text.end(), '\n') != 1) return "";
  add("unified", "/sys/fs/cgroup", false);
  return cat(container_.path(), "/", kFolder);
}

sys::Place Stage::place() {
  covers_.clear();
  for (size_t i = 0; i < trees_.size(); ++i) covers_.push_back({&trees_[i], paths_[i].c_str()});
  sys::Place place;
  if (covers_.empty()) return place;
  place.unshare = CLONE_NEWNS;
  place.covers = covers_.data();
  place.cover_count = static_cast<int>(covers_.size());
  return place;
}

// What cannot be removed goes with the container's directory.
Stage::~Stage() {
  for (const std::string& path : paths_) sys::rmdir_at(sys::At::cwd(), path.c_str());
  if (!paths_.empty()) sys::rmdir_at(container_.dir(), kFolder);
}

// ---- namespaces ----

std::string external_key(std::string_view type) {
  return type == "network" ? "extRootNetNS" : "extRootPidNS";
}

std::string external_namespace(pid_t pid, std::string_view type) {
  const char* file = type == "network" ? "net" : "pid";
  const std::string path = cat("/proc/", pid, "/ns/", file);
  struct stat st;
  if (int r = sys::stat_at(sys::At::cwd(), path.c_str(), st)) throw Error(path, r);
  return cat(file, "[", st.st_ino, "]:", external_key(type));
}

void check_may_use_criu(std::string_view verb) {
  if (sys::effective_uid() != 0)
    throw Error(cat(verb, " needs root: criu cannot do it for an ordinary user"));
}

}  // namespace coracle::checkpoint
