// What criu needs around it: the directories of its files, and a mount namespace of its own.
#pragma once

#include <string>
#include <vector>

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/criu/messages.h"
#include "runtime/store/container.h"
#include "runtime/sys/fd.h"
#include "runtime/sys/program.h"
#include "spec/spec.h"

namespace coracle::checkpoint {

// The image and the work directory, open.
class Images {
 public:
  // With `make` they are made where they are missing (0700; their parents must exist). `log_name`:
  // of criu's log, in the work directory. Throws spec::Error.
  Images(const ImageOptions& options, bool make, std::string log_name);

  const sys::Fd& dir() const { return dir_; }
  const std::string& path() const { return path_; }
  std::string log() const;  // its path
  // Everything of criu's options that both checkpoint and restore have.
  void fill(const ImageOptions& from, const spec::Spec& spec, criu::Options& to) const;
  // Lets the processes of a container with a user namespace search a directory that is only its
  // owner's: criu opens some images as the container's root already, who owns none of them. The
  // directory gets that root's group, which may do nothing but search. Throws spec::Error.
  void let_in(const spec::Spec& spec) const;

 private:
  std::string path_;
  std::string work_path_;  // "" if it is `path_`
  std::string log_name_;
  sys::Fd dir_;
  sys::Fd work_;
};

// Mounts that criu wants to find, in a mount namespace that begins and ends with it, so that
// nothing of it is seen on the host, and nothing stays if somebody is killed:
//
//   ROOT/ID/criu/root      the rootfs; criu wants its --root to be a mount of its own
//   ROOT/ID/criu/unified   the cgroup2 tree. criu would mount one itself and thereby take the
//                          options nsdelegate and memory_recursiveprot from the whole host, since
//                          a file system without them is what it asks for (criu issue 3029)
class Stage {
 public:
  explicit Stage(const store::Container& container) : container_(container) {}
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // The path at which criu will find it.
  std::string add_root(const std::string& rootfs);
  // The directory for criu's --cgroup-yard; "" on a host that has cgroup v1 as well: criu would
  // want all its hierarchies in it.
  std::string add_cgroups();
  // To be given to Session; of use as long as this lives.
  sys::Place place();

 private:
  std::string add(const char* name, const char* source, bool recursive);

  const store::Container& container_;
  std::vector<std::string> paths_;
  std::vector<sys::Fd> trees_;
  std::vector<sys::Cover> covers_;
};

// Name of the init's own namespace for criu: "net[4026532008]:extRootNetNS". `type` is "network" or
// "pid".
std::string external_namespace(pid_t pid, std::string_view type);
// "extRootNetNS", "extRootPidNS".
std::string external_key(std::string_view type);

// Throws unless we are root on the host: criu needs it.
void check_may_use_criu(std::string_view verb);

}  // namespace coracle::checkpoint
