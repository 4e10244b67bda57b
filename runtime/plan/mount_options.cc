#include "runtime/plan/mount_options.h"

#include <linux/mount.h>

#include <algorithm>

#include "spec/error.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;
using spec::quoted;

namespace {

enum class Kind : uint8_t {
  kNothing,     // understood; the kernel needs no word for it
  kAttr,        // MOUNT_ATTR_* of one mount
  kRecursive,   // MOUNT_ATTR_* of the whole tree
  kSuper,       // superblock flag, by name
  kPropagate,   // MS_*, one mount
  kPropagateR,  // MS_*, the whole tree
  kMember,      // a bool of MountOptions
  kIdmap,       // idmap, ridmap, with or without ranges
};

struct Known {
  std::string_view name;
  Kind kind = Kind::kNothing;
  uint64_t set = 0;  // or the propagation flag
  uint64_t clr = 0;
  bool MountOptions::*member = nullptr;
  std::string_view super = "";  // name of the superblock flag
  uint64_t unless = 0;          // asks for nothing where an earlier option has set this bit
};

// Access-time settings are one enumeration in the kernel: to choose any, all bits of it must be in
// the cleared set (mount_setattr(2)); relatime is its zero and its default. "atime" takes back only
// "noatime", and "nostrictatime" only "strictatime" (mount(8)).
constexpr uint64_t kAtime = MOUNT_ATTR__ATIME;

constexpr Known kKnown[] = {
    {"acl"},
    {"async", Kind::kSuper, 0, 0, nullptr, "async"},
    {"atime", Kind::kAttr, 0, kAtime, nullptr, "", MOUNT_ATTR_STRICTATIME},
    {"bind", Kind::kMember, 0, 0, &MountOptions::bind},
    {"copy-symlink", Kind::kMember, 0, 0, &MountOptions::copy_symlink},
    {"defaults"},
    {"dest-nofollow", Kind::kMember, 0, 0, &MountOptions::target_nofollow},
    {"dev", Kind::kAttr, 0, MOUNT_ATTR_NODEV},
    {"diratime", Kind::kAttr, 0, MOUNT_ATTR_NODIRATIME},
    {"dirsync", Kind::kSuper, 0, 0, nullptr, "dirsync"},
    {"exec", Kind::kAttr, 0, MOUNT_ATTR_NOEXEC},
    {"idmap", Kind::kIdmap},
    {"iversion"},
    {"lazytime", Kind::kSuper, 0, 0, nullptr, "lazytime"},
    {"loud"},
    {"mand", Kind::kSuper, 0, 0, nullptr, "mand"},
    {"noacl"},
    {"noatime", Kind::kAttr, MOUNT_ATTR_NOATIME, kAtime},
    {"nodev", Kind::kAttr, MOUNT_ATTR_NODEV},
    {"nodiratime", Kind::kAttr, MOUNT_ATTR_NODIRATIME},
    {"noexec", Kind::kAttr, MOUNT_ATTR_NOEXEC},
    {"noiversion"},
    {"nolazytime", Kind::kSuper, 0, 0, nullptr, "nolazytime"},
    {"nomand", Kind::kSuper, 0, 0, nullptr, "nomand"},
    {"norelatime"},
    {"nostrictatime", Kind::kAttr, 0, kAtime, nullptr, "", MOUNT_ATTR_NOATIME},
    {"nosuid", Kind::kAttr, MOUNT_ATTR_NOSUID},
    {"nosymfollow", Kind::kAttr, MOUNT_ATTR_NOSYMFOLLOW},
    {"private", Kind::kPropagate, MS_PRIVATE},
    {"rasync", Kind::kSuper, 0, 0, nullptr, "async"},
    {"ratime", Kind::kRecursive, 0, kAtime, nullptr, "", MOUNT_ATTR_STRICTATIME},
    {"rbind", Kind::kMember, 0, 0, &MountOptions::rbind},
    {"rdev", Kind::kRecursive, 0, MOUNT_ATTR_NODEV},
    {"rdiratime", Kind::kRecursive, 0, MOUNT_ATTR_NODIRATIME},
    {"rdirsync", Kind::kSuper, 0, 0, nullptr, "dirsync"},
    {"relatime", Kind::kAttr, MOUNT_ATTR_RELATIME, kAtime},
    {"remount", Kind::kMember, 0, 0, &MountOptions::remount},
    {"rexec", Kind::kRecursive, 0, MOUNT_ATTR_NOEXEC},
    {"ridmap", Kind::kIdmap},
    {"rmand", Kind::kSuper, 0, 0, nullptr, "mand"},
    {"rnoatime", Kind::kRecursive, MOUNT_ATTR_NOATIME, kAtime},
    {"rnodev", Kind::kRecursive, MOUNT_ATTR_NODEV},
    {"rnodiratime", Kind::kRecursive, MOUNT_ATTR_NODIRATIME},
    {"rnoexec", Kind::kRecursive, MOUNT_ATTR_NOEXEC},
    {"rnomand", Kind::kSuper, 0, 0, nullptr, "nomand"},
    {"rnorelatime", Kind::kRecursive, 0, kAtime, nullptr, "", kAtime},
    {"rnostrictatime", Kind::kRecursive, 0, kAtime, nullptr, "", MOUNT_ATTR_NOATIME},
    {"rnosuid", Kind::kRecursive, MOUNT_ATTR_NOSUID},
    {"rnosymfollow", Kind::kRecursive, MOUNT_ATTR_NOSYMFOLLOW},
    {"ro", Kind::kAttr, MOUNT_ATTR_RDONLY},
    {"rprivate", Kind::kPropagateR, MS_PRIVATE},
    {"rrelatime", Kind::kRecursive, MOUNT_ATTR_RELATIME, kAtime},
    {"rro", Kind::kRecursive, MOUNT_ATTR_RDONLY},
    {"rrw", Kind::kRecursive, 0, MOUNT_ATTR_RDONLY},
    {"rshared", Kind::kPropagateR, MS_SHARED},
    {"rslave", Kind::kPropagateR, MS_SLAVE},
    {"rstrictatime", Kind::kRecursive, MOUNT_ATTR_STRICTATIME, kAtime},
    {"rsuid", Kind::kRecursive, 0, MOUNT_ATTR_NOSUID},
    {"rsymfollow", Kind::kRecursive, 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"rsync", Kind::kSuper, 0, 0, nullptr, "sync"},
    {"runbindable", Kind::kPropagateR, MS_UNBINDABLE},
    {"rw", Kind::kAttr, 0, MOUNT_ATTR_RDONLY},
    {"shared", Kind::kPropagate, MS_SHARED},
    {"silent"},
    {"slave", Kind::kPropagate, MS_SLAVE},
    {"src-nofollow", Kind::kMember, 0, 0, &MountOptions::source_nofollow},
    {"strictatime", Kind::kAttr, MOUNT_ATTR_STRICTATIME, kAtime},
    {"suid", Kind::kAttr, 0, MOUNT_ATTR_NOSUID},
    {"symfollow", Kind::kAttr, 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"sync", Kind::kSuper, 0, 0, nullptr, "sync"},
    {"tmpcopyup", Kind::kMember, 0, 0, &MountOptions::copy_up},
    {"unbindable", Kind::kPropagate, MS_UNBINDABLE},
};

const Known* find_option(std::string_view name) {
  const auto* end = std::end(kKnown);
  const auto* it = std::lower_bound(std::begin(kKnown), end, name,
                                    [](const Known& k, std::string_view n) { return k.name < n; });
  return it != end && it->name == name ? it : nullptr;
}

void change(AttrChange& attrs, const Known& known) {
  if (!(attrs.set & known.unless)) attrs.then({known.set, known.clr});
}

void apply(const Known& known, MountOptions& out) {
  switch (known.kind) {
    case Kind::kNothing:
      return;
    case Kind::kAttr:
      return change(out.attrs, known);
    case Kind::kRecursive:
      return change(out.recursive, known);
    case Kind::kSuper:
      return out.super.push_back(known.super);
    case Kind::kPropagate:
      return out.propagation.push_back({known.set, false});
    case Kind::kPropagateR:
      return out.propagation.push_back({known.set, true});
    case Kind::kMember:
      out.*known.member = true;
      return;
    case Kind::kIdmap:
      out.idmap = true;
      out.idmap_recursive = known.name == "ridmap";
      return;
  }
}

void add_data(std::string_view option, std::string_view path, MountOptions& out) {
  const size_t equals = option.find('=');
  const std::string_view key = option.substr(0, equals);
  if (key.empty()) throw Error::at(std::string(path), cat("not an option: ", quoted(option)));
  if (key.size() > kLongestValue)
    throw Error::at(std::string(path), "the kernel takes names of options of up to 255 bytes");
  if (equals == std::string_view::npos) {
    out.data.push_back({std::string(key), std::nullopt});
  } else {
    out.data.push_back({std::string(key), std::string(option.substr(equals + 1))});
  }
}

// "idmap=..." and "ridmap=..."; false for everything else.
bool take_idmap_ranges(std::string_view option, MountOptions& out) {
  const size_t equals = option.find('=');
  if (equals == std::string_view::npos) return false;
  const Known* known = find_option(option.substr(0, equals));
  if (known == nullptr || known->kind != Kind::kIdmap) return false;
  apply(*known, out);
  out.idmap_ranges = option.substr(equals + 1);
  return true;
}

// A bind shows a file system that is mounted already; its options are not ours to change. mount(2)
// never looked at them either, so bundles have them (runtime-tools' own among them).
void set_data_aside(MountOptions& out) {
  if (out.bind) out.ignored.swap(out.data);
}

}  // namespace

void AttrChange::then(const AttrChange& later) {
  set = (set & ~later.clr) | later.set;
  // A bit that is set need not be cleared first, but for the enumeration of access times.
  clr = ((clr | later.clr) & ~set) | ((clr | later.clr) & kAtime);
}

MountOptions parse_mount_options(const spec::Mount& mount, std::string_view origin) {
  MountOptions out;
  for (size_t i = 0; i < mount.options.size(); ++i) {
    const std::string_view option = mount.options[i];
    if (option.empty()) continue;  // Podman 5 sends such with overlay mounts
    const std::string path = cat(origin, ".options[", i, "]");
    if (const Known* known = find_option(option)) {
      apply(*known, out);
    } else if (!take_idmap_ranges(option, out)) {
      add_data(option, path, out);
    }
  }
  out.bind |= out.rbind;
  set_data_aside(out);
  return out;
}

std::vector<std::string_view> known_mount_options() {
  std::vector<std::string_view> names;
  for (const Known& known : kKnown) names.push_back(known.name);
  return names;
}

}  // namespace coracle::plan
