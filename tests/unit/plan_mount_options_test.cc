// Mount options of config.json -> what the kernel is asked for.
#include <doctest/doctest.h>
#include <linux/mount.h>

#include <algorithm>
#include <string>

#include "runtime/plan/idmap_ranges.h"
#include "runtime/plan/mount_options.h"
#include "spec/error.h"
#include "spec/text.h"
#include "tests/unit/random.h"

using namespace coracle;
using plan::MountOptions;

namespace {

MountOptions parse(std::vector<std::string_view> options, std::string_view type = "tmpfs") {
  spec::Mount mount;
  mount.type = type;
  mount.source = "x";
  mount.options = std::move(options);
  return plan::parse_mount_options(mount, "mounts[2]");
}

std::string error_of(std::vector<std::string_view> options, std::string_view type = "tmpfs") {
  try {
    parse(std::move(options), type);
  } catch (const spec::Error& e) {
    return e.what();
  }
  return "";
}

std::string data(const MountOptions& o) {
  std::string out;
  for (const auto& [key, value] : o.data)
    spec::append(out, key, value ? "=" : "", value ? std::string_view(*value) : "", ";");
  return out;
}

}  // namespace

TEST_CASE("mount options: flags of one mount") {
  const MountOptions o = parse({"ro", "nosuid", "nodev", "noexec", "nodiratime", "nosymfollow"});
  CHECK(o.attrs.set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                        MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW));
  CHECK(o.attrs.clr == 0);
  CHECK(o.recursive.empty());
  const MountOptions c = parse({"rw", "suid", "dev", "exec", "diratime", "symfollow"});
  CHECK(c.attrs.set == 0);
  CHECK(c.attrs.clr == o.attrs.set);
}

TEST_CASE("mount options: the last of two opposites decides") {
  CHECK(parse({"ro", "rw"}).attrs.set == 0);
  CHECK(parse({"ro", "rw"}).attrs.clr == MOUNT_ATTR_RDONLY);
  CHECK(parse({"rw", "ro"}).attrs.set == MOUNT_ATTR_RDONLY);
  CHECK(parse({"rw", "ro"}).attrs.clr == 0);
  CHECK(parse({"rro", "rrw"}).recursive.clr == MOUNT_ATTR_RDONLY);
}

TEST_CASE("mount options: every choice of access time clears the whole enumeration") {
  struct {
    const char* name;
    uint64_t set;
  } cases[] = {{"atime", 0},
               {"noatime", MOUNT_ATTR_NOATIME},
               {"relatime", 0},
               {"strictatime", MOUNT_ATTR_STRICTATIME},
               {"nostrictatime", 0}};
  for (const auto& test : cases) {
    CAPTURE(test.name);
    CHECK(parse({test.name}).attrs.set == test.set);
    CHECK(parse({test.name}).attrs.clr == MOUNT_ATTR__ATIME);
    const std::string recursive = spec::cat("r", test.name);
    CHECK(parse({recursive}).recursive.set == test.set);
    CHECK(parse({recursive}).recursive.clr == MOUNT_ATTR__ATIME);
  }
  CHECK(parse({"noatime", "strictatime"}).attrs.set == MOUNT_ATTR_STRICTATIME);
  CHECK(parse({"strictatime", "atime"}).attrs.set == MOUNT_ATTR_STRICTATIME);
  CHECK(parse({"noatime", "atime"}).attrs.set == 0);
  CHECK(parse({"noatime", "nostrictatime"}).attrs.set == MOUNT_ATTR_NOATIME);
  CHECK(parse({"rnoatime", "rnorelatime"}).recursive.set == MOUNT_ATTR_NOATIME);
  CHECK(parse({"noatime", "nodiratime"}).attrs.set == (MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODIRATIME));
}

// What the attributes of a mount become, read option by option: config.md, "Linux mount options",
// and mount(8) for the access times, of which a mount has one.
struct Naive {
  explicit Naive(uint64_t old) : attrs(old) {}

  void option(std::string_view name) {
    struct Row {
      std::string_view on, off;  // sets, clears
      uint64_t bit;
    };
    constexpr Row kRows[] = {{"ro", "rw", MOUNT_ATTR_RDONLY},
                             {"nosuid", "suid", MOUNT_ATTR_NOSUID},
                             {"nodev", "dev", MOUNT_ATTR_NODEV},
                             {"noexec", "exec", MOUNT_ATTR_NOEXEC},
                             {"nodiratime", "diratime", MOUNT_ATTR_NODIRATIME},
                             {"nosymfollow", "symfollow", MOUNT_ATTR_NOSYMFOLLOW}};
    for (const Row& row : kRows) {
      if (name == row.on) attrs |= row.bit;
      if (name == row.off) attrs &= ~row.bit;
    }
    // "atime" and "nostrictatime" choose the default, unless the other one's opposite is chosen.
    if (name == "noatime") choose(MOUNT_ATTR_NOATIME);
    if (name == "strictatime") choose(MOUNT_ATTR_STRICTATIME);
    if (name == "relatime") choose(MOUNT_ATTR_RELATIME);
    if (name == "atime" && chosen != MOUNT_ATTR_STRICTATIME) choose(MOUNT_ATTR_RELATIME);
    if (name == "nostrictatime" && chosen != MOUNT_ATTR_NOATIME) choose(MOUNT_ATTR_RELATIME);
  }
  void choose(uint64_t atime) {
    chosen = atime;
    attrs = (attrs & ~uint64_t{MOUNT_ATTR__ATIME}) | atime;
  }

  uint64_t attrs;
  uint64_t chosen = 0;  // by an option
};

TEST_CASE("mount options: random lists do what a reading one by one says") {
  static constexpr std::string_view kNames[] = {
      "ro",       "rw",         "nosuid",      "suid",          "nodev",       "dev",
      "noexec",   "exec",       "nodiratime",  "diratime",      "atime",       "noatime",
      "relatime", "norelatime", "strictatime", "nostrictatime", "nosymfollow", "symfollow"};
  static constexpr uint64_t kOld[] = {0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME,
                                      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_STRICTATIME,
                                      MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODIRATIME};
  tests::each_seed(3000, [](uint64_t seed) {
    tests::Random random(seed);
    const uint64_t old = random.of(kOld);
    Naive one(old), tree(old);
    std::vector<std::string> list;
    for (size_t n = 1 + random.below(7); n > 0; --n) {
      std::string name(random.of(kNames));
      bool recursive = random.chance(30) && name != "norelatime";
      (recursive ? tree : one).option(name);
      list.push_back(recursive ? "r" + name : name);
    }
    const MountOptions ours = parse({list.begin(), list.end()});
    std::string text;
    for (const std::string& name : list) spec::append(text, name, ",");
    CAPTURE(seed);
    CAPTURE(text);
    CHECK(((old & ~ours.attrs.clr) | ours.attrs.set) == one.attrs);
    CHECK(((old & ~ours.recursive.clr) | ours.recursive.set) == tree.attrs);
  });
}

TEST_CASE("mount options: random propagation keeps its order and its reach") {
  struct Row {
    std::string_view name;
    uint64_t flag;
  };
  // config.md, "Linux mount options"; mount(2).
  static constexpr Row kRows[] = {{"shared", MS_SHARED},
                                  {"slave", MS_SLAVE},
                                  {"private", MS_PRIVATE},
                                  {"unbindable", MS_UNBINDABLE}};
  tests::each_seed(500, [](uint64_t seed) {
    tests::Random random(seed);
    CAPTURE(seed);
    std::vector<std::string> list;
    std::vector<std::pair<uint64_t, bool>> wanted, ours;
    for (size_t n = 1 + random.below(5); n > 0; --n) {
      const Row& row = random.of(kRows);
      const bool recursive = random.chance(50);
      list.push_back(spec::cat(recursive ? "r" : "", row.name));
      wanted.emplace_back(row.flag, recursive);
      if (random.chance(30)) list.push_back("nosuid");
    }
    for (const auto& one : parse({list.begin(), list.end()}).propagation) {
      ours.emplace_back(one.flag, one.recursive);
    }
    CHECK(ours == wanted);
  });
}

TEST_CASE("mount options: superblock flags by name, those without effect by nothing") {
  const MountOptions o = parse({"sync", "dirsync", "lazytime", "mand", "silent", "loud", "iversion",
                                "noiversion", "acl", "noacl", "defaults", "norelatime"});
  CHECK(o.super == std::vector<std::string_view>{"sync", "dirsync", "lazytime", "mand"});
  CHECK(o.attrs.empty());
  CHECK(o.data.empty());
}

TEST_CASE("mount options: propagation keeps its order") {
  const MountOptions o = parse({"rslave", "shared"});
  REQUIRE(o.propagation.size() == 2);
  CHECK(o.propagation[0].flag == MS_SLAVE);
  CHECK(o.propagation[0].recursive);
  CHECK(o.propagation[1].flag == MS_SHARED);
  CHECK_FALSE(o.propagation[1].recursive);
}

TEST_CASE("mount options: bind, and what engines send with it") {
  CHECK(parse({"bind"}).bind);
  CHECK_FALSE(parse({"bind"}).rbind);
  CHECK(parse({"rbind"}).bind);
  CHECK(parse({"tmpcopyup"}).copy_up);
  CHECK(parse({"rbind", "copy-symlink", "src-nofollow", "dest-nofollow"}).copy_symlink);
  const plan::MountOptions sized = parse({"rbind", "size=1m"});
  CHECK(sized.data.empty());
  REQUIRE(sized.ignored.size() == 1);
  CHECK(sized.ignored[0].key == "size");
}

TEST_CASE("mount options: what is unknown goes to the file system") {
  CHECK(data(parse({"mode=755", "size=65536k", "huge=never", "newinstance", "a=b=c", "e="})) ==
        "mode=755;size=65536k;huge=never;newinstance;a=b=c;e=;");
  CHECK(data(parse({"mode=755", "", "ro"})) == "mode=755;");
  CHECK(error_of({"=x"}) == "mounts[2].options[0]: not an option: \"=x\"");
}

TEST_CASE("mount options: values of any length are kept, names have their limit") {
  const std::string upper(300, 'u');
  CHECK(data(parse({spec::cat("upperdir=", upper)}, "overlay")) ==
        spec::cat("upperdir=", upper, ";"));
  CHECK(error_of({std::string(256, 'n')}) ==
        "mounts[2].options[0]: the kernel takes names of options of up to 255 bytes");
}

TEST_CASE("mount options: idmap and its ranges") {
  CHECK(parse({"bind", "idmap"}).idmap);
  CHECK_FALSE(parse({"bind", "idmap"}).idmap_recursive);
  CHECK(parse({"bind", "ridmap"}).idmap_recursive);
  CHECK(parse({"bind", "idmap=uids=0-1-10;gids=0-1-10"}).idmap_ranges == "uids=0-1-10;gids=0-1-10");

  spec::Linux linux;
  linux.uidMappings = {{0, 0, 1}, {1, 2, 1000}};
  linux.gidMappings = {{0, 100000, 65536}};
  const auto maps =
      plan::parse_idmap_ranges("uids=0-1-10#@1-3-10;gids=@0-100-10", linux, "mounts[0]");
  CHECK(maps.uids == "0 1 10\n1 4 10\n");
  CHECK(maps.gids == "0 100100 10\n");
  for (const char* bad :
       {"", "uids=0-1-10", "uids=0-1;gids=0-0-1", "uids=0-1-0;gids=0-0-1", "uids=0-1-x;gids=0-0-1",
        "uids=0-1-1-1;gids=0-0-1", "uids=@5000-9-1;gids=0-0-1", "users=0-0-1",
        "uids=0-4294967296-1;gids="}) {
    CAPTURE(bad);
    if (std::string_view(bad) == "uids=@5000-9-1;gids=0-0-1") continue;  // 9 is mapped
    CHECK_THROWS_AS(plan::parse_idmap_ranges(bad, linux, "mounts[0]"), spec::Error);
  }
  CHECK_THROWS_AS(plan::parse_idmap_ranges("uids=@0-5000-1;gids=0-0-1", linux, "mounts[0]"),
                  spec::Error);
}

TEST_CASE("mount options: the list of names is sorted, and has the specification's") {
  const auto names = plan::known_mount_options();
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
  // config.md, "Linux mount options", every row of the table.
  for (const char* name : {"async",
                           "atime",
                           "bind",
                           "defaults",
                           "dev",
                           "diratime",
                           "dirsync",
                           "exec",
                           "iversion",
                           "lazytime",
                           "loud",
                           "mand",
                           "noatime",
                           "nodev",
                           "nodiratime",
                           "noexec",
                           "noiversion",
                           "nolazytime",
                           "nomand",
                           "norelatime",
                           "nostrictatime",
                           "nosuid",
                           "nosymfollow",
                           "private",
                           "ratime",
                           "rbind",
                           "rdev",
                           "rdiratime",
                           "relatime",
                           "remount",
                           "rexec",
                           "rnoatime",
                           "rnodev",
                           "rnodiratime",
                           "rnoexec",
                           "rnorelatime",
                           "rnostrictatime",
                           "rnosuid",
                           "rnosymfollow",
                           "ro",
                           "rprivate",
                           "rrelatime",
                           "rro",
                           "rrw",
                           "rshared",
                           "rslave",
                           "rstrictatime",
                           "rsuid",
                           "rsymfollow",
                           "runbindable",
                           "rw",
                           "shared",
                           "silent",
                           "slave",
                           "strictatime",
                           "suid",
                           "symfollow",
                           "sync",
                           "tmpcopyup",
                           "unbindable",
                           "idmap",
                           "ridmap"}) {
    CAPTURE(name);
    CHECK(std::binary_search(names.begin(), names.end(), std::string_view(name)));
  }
}
