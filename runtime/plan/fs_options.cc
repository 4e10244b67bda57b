// The options of a new file system: one by one for fsconfig(2), and, where that may not do, in one
// string for mount(2).
#include <linux/mount.h>

#include "runtime/plan/mounts.h"
#include "spec/annotations.h"
#include "spec/error.h"
#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::plan {

using spec::cat;
using spec::Error;

// mount(2) copies a page, its last byte for the NUL.
static constexpr size_t kLongestPage = 4095;

bool has_key(const std::vector<DataOption>& data, std::string_view key) {
  for (const DataOption& option : data)
    if (option.key == key) return true;
  return false;
}

// Superblock flags as fsconfig(2) names them; the last of a pair decides.
static std::vector<std::string_view> settle_super(const MountOptions& o, bool remount) {
  std::vector<std::string_view> out;
  auto drop = [&out](std::string_view name) {
    for (size_t i = 0; i < out.size(); ++i)
      if (out[i] == name) out.erase(out.begin() + static_cast<std::ptrdiff_t>(i--));
  };
  static constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
      {"sync", "async"}, {"lazytime", "nolazytime"}, {"mand", "nomand"}};
  for (std::string_view flag : o.super) {
    bool off = false;
    drop(flag);
    for (const auto& [set, clear] : kPairs) {
      if (flag == clear) drop(set);
      if (flag == set) drop(clear);
      off |= flag == clear;
    }
    if (!off || remount) out.push_back(flag);  // off is how a new file system begins
  }
  return out;
}

// SELinux: the file systems that carry labels get the container's (config-linux.md, mountLabel).
static std::string_view label_key(const Draft& d, const spec::Mount& mount) {
  if (d.spec.linux->mountLabel.empty() || !d.host.selinux) return "";
  for (std::string_view type : {"proc", "sysfs", "mqueue", "cgroup", "cgroup2"})
    if (mount.type == type) return "";
  const std::string_view key = spec::find(d.spec.annotations, spec::kMountContextType);
  return key.empty() ? std::string_view("context") : key;
}

// The kernel, which reads them as ids of the container's user namespace, would only say EINVAL.
static void check_owner(const Draft& d, const DataOption& option, const std::string& origin) {
  const bool uid = option.key == "uid";
  if (!d.new_userns || (!uid && option.key != "gid") || !option.value) return;
  const auto& mappings = uid ? d.spec.linux->uidMappings : d.spec.linux->gidMappings;
  const auto id = spec::parse_number(*option.value, UINT32_MAX);
  if (!id || mappings.empty() || is_mapped(mappings, static_cast<uint32_t>(*id))) return;
  throw Error::at(cat(origin, ".options"),
                  cat(option.key, "=", *option.value, " is not mapped by linux.", option.key,
                      "Mappings: map it, or leave this option out"));
}

// All options in the order in which the kernel gets them.
static std::vector<DataOption> collect(Draft& d, const spec::Mount& mount, const PlannedMount& m) {
  std::vector<DataOption> out;
  AttrChange all = m.options.attrs;
  all.then(m.options.recursive);
  // A device that cannot be written must not be asked to (a read-only mount of a writable
  // superblock is enough for everything that lives in memory).
  if ((all.set & MOUNT_ATTR_RDONLY) != 0 && mount.source.substr(0, 1) == "/")
    out.push_back({"ro", std::nullopt});
  for (std::string_view flag : settle_super(m.options, false))
    out.push_back({std::string(flag), std::nullopt});
  for (const DataOption& option : m.options.data) {
    // Every devpts is an instance of its own since Linux 4.7.
    if (mount.type == "devpts" && option.key == "newinstance") continue;
    check_owner(d, option, m.origin);
    out.push_back(option);
  }
  const std::string_view key = label_key(d, mount);
  if (!key.empty() && !has_key(m.options.data, key))
    out.push_back({std::string(key), std::string(d.spec.linux->mountLabel)});
  return out;
}

// ---- fsconfig --------------------------------------------------------------------------------

static FsOption fs_option(Draft& d, std::string_view key, const std::optional<std::string>& value) {
  const bool path = value && value->size() > kLongestValue;
  return {d.b.str(key), value ? d.b.str(*value) : Ref{0}, path ? 1U : 0U};
}

// What is behind a backslash means itself, as for overlayfs.
static std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out.push_back(text[i]);
  }
  return out;
}

// "a:b" is two layers, "a\:b" is one, and those behind "::" hold data only
// (Documentation/filesystems/overlayfs.rst).
static void add_layers(Draft& d, std::string_view value, std::vector<FsOption>& out) {
  std::string_view key = "lowerdir+";
  size_t begin = 0;
  for (size_t i = 0; i <= value.size(); ++i) {
    if (i < value.size() && value[i] == '\\') {
      ++i;
    } else if (i >= value.size() || value[i] == ':') {
      if (i == begin) key = "datadir+";
      if (i != begin) out.push_back(fs_option(d, key, unescape(value.substr(begin, i - begin))));
      begin = i + 1;
    }
  }
}

// overlayfs takes one layer at a time since Linux 6.7, and descriptors since 6.13. Everything else
// of this length is for mount(2).
static void add_option(Draft& d, bool overlay, const DataOption& option,
                       std::vector<FsOption>& out) {
  const bool is_long = option.value && option.value->size() > kLongestValue;
  if (overlay && is_long && option.key == "lowerdir") {
    add_layers(d, *option.value, out);
  } else if (overlay && is_long) {
    out.push_back(fs_option(d, option.key, unescape(*option.value)));
  } else {
    out.push_back({d.b.str(option.key), option.value ? d.b.str(*option.value) : Ref{0}, 0});
  }
}

std::vector<FsOption> remount_options(Draft& d, const PlannedMount& m) {
  std::vector<FsOption> out;
  for (std::string_view flag : settle_super(m.options, true))
    out.push_back({d.b.str(flag), {0}, 0});
  for (const DataOption& option : m.options.data) {
    if (option.value && option.value->size() > kLongestValue)
      throw Error::at(cat(m.origin, ".options"),
                      cat(option.key, ": a remount takes values of up to 255 bytes, this one has ",
                          option.value->size()));
    add_option(d, false, option, out);
  }
  return out;
}

// ---- mount(2) --------------------------------------------------------------------------------

static uint32_t super_flag(const DataOption& option) {
  static constexpr std::pair<std::string_view, uint32_t> kFlags[] = {{"ro", MS_RDONLY},
                                                                     {"sync", MS_SYNCHRONOUS},
                                                                     {"dirsync", MS_DIRSYNC},
                                                                     {"mand", MS_MANDLOCK},
                                                                     {"lazytime", MS_LAZYTIME}};
  for (const auto& [name, flag] : kFlags)
    if (!option.value && option.key == name) return flag;
  return 0;
}

// overlayfs knows "\,"; security modules know quotes around their contexts; others know nothing.
static void append_value(std::string& out, bool overlay, const DataOption& option) {
  const std::string& value = *option.value;
  const bool comma = value.find(',') != value.npos;
  if (comma && option.key.ends_with("context") && !value.starts_with('"')) {
    spec::append(out, "\"", value, "\"");
    return;
  }
  for (size_t i = 0; i < value.size(); ++i) {
    if (overlay && value[i] == ',') out.push_back('\\');
    if (overlay && value[i] == '\\' && i + 1 < value.size()) out.push_back(value[i++]);
    out.push_back(value[i]);
  }
}

// A comma: file systems without an fs_context refuse it, and some bundles give several options in
// one string, which mount(2) takes apart.
static bool may_need_page(const spec::Mount& mount, const std::vector<DataOption>& options) {
  if (mount.source.size() > kLongestValue) return true;
  for (const DataOption& option : options) {
    if (option.key.find(',') != std::string::npos) return true;
    if (!option.value) continue;
    if (option.value->size() > kLongestValue || option.value->find(',') != std::string::npos)
      return true;
  }
  return false;
}

static void add_page(Draft& d, const spec::Mount& mount, const PlannedMount& m,
                     const std::vector<DataOption>& options, MountFs& step) {
  // A running container's processes would see the place where mount(2) works for a moment.
  if (d.running || !may_need_page(mount, options)) return;
  std::string page;
  for (const DataOption& option : options) {
    const uint32_t flag = super_flag(option);
    step.page_flags |= flag;
    if (flag != 0) continue;
    spec::append(page, page.empty() ? "" : ",", option.key, option.value ? "=" : "");
    if (option.value) append_value(page, mount.type == "overlay", option);
  }
  if (page.size() <= kLongestPage) {
    step.page = d.b.str(page);
  } else if (mount.type != "overlay") {
    throw Error::at(
        cat(m.origin, ".options"),
        cat("the kernel takes options of up to 4095 bytes in all, these have ", page.size()));
  }
}

void add_fs_options(Draft& d, const spec::Mount& mount, const PlannedMount& m, MountFs& step) {
  const std::vector<DataOption> options = collect(d, mount, m);
  std::vector<FsOption> list;
  for (const DataOption& option : options) add_option(d, mount.type == "overlay", option, list);
  step.options = d.b.list(list);
  add_page(d, mount, m, options, step);
}

}  // namespace coracle::plan
