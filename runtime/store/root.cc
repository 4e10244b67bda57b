#include "runtime/store/root.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::store {

using spec::cat;
using spec::Error;
using sys::At;

namespace {

std::string_view environment(const char* name) {
  const char* value = ::getenv(name);
  return value ? value : "";
}

int make_with_parents(std::string& path) {
  int r = sys::mkdir_at(At::cwd(), path.c_str(), 0700);
  if (r != -ENOENT) return r;
  std::string parent = path.substr(0, path.rfind('/'));
  if (parent.empty()) return r;
  int up = make_with_parents(parent);
  return up && up != -EEXIST ? up : sys::mkdir_at(At::cwd(), path.c_str(), 0700);
}

}  // namespace

RootChoice choose_root(const RootFacts& facts) {
  if (!facts.option.empty()) {
    bool absolute = facts.option.front() == '/';
    std::string path = spec::clean_path(absolute ? std::string(facts.option)
                                                 : cat(facts.working_directory, "/", facts.option));
    // Every directory of the machine would be a container, and could be deleted.
    if (path == "/") throw Error("--root: / cannot be the state root");
    return {path, true, false};
  }
  bool real_root = facts.is_root && (facts.initial_userns || facts.user == "root");
  if (real_root || facts.xdg_runtime_dir.empty()) return {"/run/coracle", false, false};
  return {spec::clean_path(cat(facts.xdg_runtime_dir, "/coracle")), false, true};
}

RootChoice find_root(std::string_view option) {
  RootFacts facts;
  facts.option = option;
  facts.xdg_runtime_dir = environment("XDG_RUNTIME_DIR");
  facts.user = environment("USER");
  char directory[4096];
  if (!option.empty() && option.front() != '/') {
    if (!::getcwd(directory, sizeof(directory))) throw Error("working directory", errno);
    facts.working_directory = directory;
  }
  facts.is_root = sys::effective_uid() == 0;
  bool decided = !option.empty() || facts.xdg_runtime_dir.empty() || facts.user == "root";
  if (facts.is_root && !decided) facts.initial_userns = sys::in_initial_user_namespace();
  return choose_root(facts);
}

void check_private(const struct stat& directory, const std::string& path) {
  if (directory.st_uid != sys::effective_uid()) {
    throw Error(
        cat(path, " belongs to user ", directory.st_uid, ", not to user ", sys::effective_uid()));
  }
  if (directory.st_mode & 022) throw Error(cat(path, " can be written to by other users"));
}

void prepare_root(const RootChoice& choice) {
  std::string path = choice.path;
  int made = -EEXIST;
  sys::Fd directory = sys::open_at(At::cwd(), path.c_str(), O_RDONLY | O_DIRECTORY);
  if (directory.error() == ENOENT) {
    made = make_with_parents(path);
    if (made && made != -EEXIST) throw Error(cat("make state root ", path), made);
    directory = sys::open_at(At::cwd(), path.c_str(), O_RDONLY | O_DIRECTORY);
  }
  if (!directory) throw Error(cat("open state root ", path), directory.error());
  struct stat st;
  if (int r = sys::stat_fd(directory, st)) throw Error(path, r);
  check_private(st, path);
  if (made == 0 && choice.sticky) {
    // XDG base directory specification: files with the sticky bit are spared by the clean-up.
    if (int r = sys::chmod_fd(directory, 01700)) throw Error(cat("chmod ", path), r);
  }
}

}  // namespace coracle::store
