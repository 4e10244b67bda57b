// The state root: which directory it is, and that nobody else can write to it.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

namespace coracle::store {

// What the default depends on; a struct so that the rule can be tested.
struct RootFacts {
  std::string_view option;             // --root, or ""
  std::string_view xdg_runtime_dir;    // $XDG_RUNTIME_DIR, or ""
  std::string_view user;               // $USER, or ""
  std::string_view working_directory;  // absolute; only read when `option` is relative
  bool is_root = true;                 // euid 0
  bool initial_userns = true;
};

struct RootChoice {
  std::string path;          // absolute, lexically clean
  bool from_option = false;  // --root: a missing one is an error for list
  bool sticky = false;  // below $XDG_RUNTIME_DIR: the sticky bit keeps it from being pruned there
};

// The rule. --root wins ("/" is refused). Then /run/coracle for root; $XDG_RUNTIME_DIR/coracle for
// others, and for root of a user namespace whose $USER is not root. Pure. Throws spec::Error.
RootChoice choose_root(const RootFacts& facts);

// The rule applied to this process; asks the kernel only what the rule needs.
RootChoice find_root(std::string_view option);

// Makes the directory (0700, missing parents too) if need be, and refuses one that belongs to
// somebody else or that others may write to. For create and run, before create_new.
void prepare_root(const RootChoice& choice);

// Throws unless the directory with these attributes (`path` is for the message) is the caller's own
// and nobody else's to write to: what lies in it decides what `delete` destroys.
void check_private(const struct stat& directory, const std::string& path);

}  // namespace coracle::store
