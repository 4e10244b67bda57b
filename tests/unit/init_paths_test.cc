// Look-ups and creation below the container's root. No rights needed: the root is a directory.
#include <doctest/doctest.h>

#include "runtime/init/paths.h"
#include "tests/unit/init_fixture.h"

using namespace coracle;
using namespace coracle::test;
using init::Missing;
using init::Target;

namespace {

struct Rooted {
  const Bundle& bundle;
  init::Context c{};
  std::string& wrong;

  Rooted(const Bundle& b, std::string& w) : bundle(b), wrong(w) {
    c.root = open(bundle.root("").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    c.procfs = c.mask_tmpfs = c.sync = c.start = -1;
    umask(0);
  }
  ~Rooted() {
    init::drop_parent(c);
    close(c.root);
  }
  // Where the target is, below the root; or the errno's words.
  std::string target(const std::string& path, Missing make = Missing::kDirectory,
                     uint32_t flags = 0) {
    const Target t = init::open_target(c, path.c_str(), flags, make);
    if (t.fd < 0) return strerror(static_cast<int>(-t.fd));
    existed = t.existed;
    std::string where = place(t.fd);
    close(static_cast<int>(t.fd));
    return where;
  }
  std::string place(long fd) {
    char link[512];
    const ssize_t n = readlink(spec::cat("/proc/self/fd/", fd).c_str(), link, sizeof(link));
    const std::string_view path(link, n < 0 ? 0 : static_cast<size_t>(n));
    const std::string root = bundle.root("");
    if (path.substr(0, root.size()) != root) return spec::cat("OUTSIDE ", path);
    return std::string(path.substr(root.size()));
  }
  void is(int line, const std::string& found, std::string_view wanted) {
    if (found != wanted) spec::append(wrong, line, ": ", found, ", wanted ", wanted, "\n");
  }
  void holds(int line, bool condition) {
    if (!condition) spec::append(wrong, line, ": does not hold\n");
  }
  bool existed = false;
};

#define IS(found, wanted) r.is(__LINE__, found, wanted)
#define HOLDS(condition) r.holds(__LINE__, condition)

// Runs the body in a child that can write nothing but its bundle; "" if all was as wanted.
std::string probe(const Bundle& bundle, const std::function<void(Rooted&)>& body) {
  std::string wrong = in_child(bundle.name(), [&](std::string& notes) {
    Rooted r(bundle, notes);
    body(r);
  });
  if (!bundle.canary_untouched()) wrong += "the canary was touched";
  return wrong;
}

int open_fds() {
  int n = 0;
  for (int fd = 0; fd < 256; ++fd) n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

}  // namespace

TEST_CASE("paths: what exists is found, and nothing is made") {
  Bundle bundle;

  CHECK(probe(bundle, [&](Rooted& r) {
          IS(r.target("/etc"), "/etc");
          HOLDS(r.existed);
          IS(r.target("etc/../tmp"), "/tmp");
          IS(r.target("/../../.."), "");
          IS(r.target("/missing", Missing::kFail), "No such file or directory");
          HOLDS(!exists(bundle.root("/missing")));
        }) == "");
}

TEST_CASE("paths: missing directories and files are made") {
  Bundle bundle;

  CHECK(probe(bundle, [&](Rooted& r) {
          IS(r.target("/a/b//c/"), "/a/b/c");
          HOLDS(!r.existed);
          IS(r.target("/etc/sub/file", Missing::kFile), "/etc/sub/file");
          struct stat st {};
          HOLDS(stat(bundle.root("/etc/sub/file").c_str(), &st) == 0);
          HOLDS(st.st_mode == (S_IFREG | 0644));
          HOLDS(stat(bundle.root("/a/b").c_str(), &st) == 0);
          HOLDS(st.st_mode == (S_IFDIR | 0755));
          IS(r.target("/etc/sub/file/below"), "Not a directory");
          IS(r.target("/a/nothing/../x"), "No such file or directory");
        }) == "");
}

TEST_CASE("paths: symlinks stay inside the root, dangling ones are followed to what they name") {
  Bundle bundle;
  bundle.link(bundle.path("canary"), "/abs");
  bundle.link("../../../../../../.." + bundle.path("canary"), "/dots");
  bundle.link("next/deep", "/etc/chain");
  bundle.link("/tmp/final", "/etc/next");
  bundle.link("/etc", "/dir");
  CHECK(probe(bundle, [&](Rooted& r) {
          IS(r.target("/abs"), bundle.path("canary"));
          IS(r.target("/dots/new"), bundle.path("canary") + "/new");
          IS(r.target("/dir/chain/file", Missing::kFile), "/tmp/final/deep/file");
          IS(r.target("/dir"), "/etc");
        }) == "");
}

TEST_CASE("paths: loops end") {
  Bundle bundle;
  bundle.link("/b", "/a");
  bundle.link("/a", "/b");
  bundle.link("grow/x", "/grow");  // every step leaves one more component to make
  CHECK(probe(bundle, [&](Rooted& r) {
          IS(r.target("/a"), "Too many levels of symbolic links");
          IS(r.target("/a/x"), "Too many levels of symbolic links");
          IS(r.target("/grow"), "Too many levels of symbolic links");
        }) == "");
}

TEST_CASE("paths: a chain of more than 40 links is too long, 30 are fine") {
  Bundle bundle;
  for (int i = 0; i < 60; ++i) bundle.link(spec::cat("/l", i + 1), spec::cat("/l", i));
  CHECK(probe(bundle, [&](Rooted& r) {
          IS(r.target("/l30"), "/l60");
          rmdir(bundle.root("/l60").c_str());
          IS(r.target("/l5"), "Too many levels of symbolic links");
        }) == "");
}

TEST_CASE("paths: no symlink at all where none has any business") {
  Bundle bundle;
  bundle.link("/etc", "/door");
  bundle.link("/nowhere", "/dangling");
  CHECK(probe(bundle, [&](Rooted& r) {
          for (const char* path : {"/door", "/door/x", "/dangling"})
            IS(r.target(path, Missing::kDirectory, plan::kMountNoSymlinks),
               "Too many levels of symbolic links");
          HOLDS(!exists(bundle.root("/etc/x")));
          IS(r.target("/real/new", Missing::kDirectory, plan::kMountNoSymlinks), "/real/new");
        }) == "");
}

TEST_CASE("paths: dest-nofollow finds the symlink itself") {
  Bundle bundle;
  bundle.link("/etc", "/door");
  CHECK(probe(bundle, [&](Rooted& r) {
          IS(r.target("/door", Missing::kFail, plan::kMountTargetNoFollow), "/door");
        }) == "");
}

TEST_CASE("paths: long names are refused, not cut") {
  Bundle bundle;

  CHECK(probe(bundle, [&](Rooted& r) {
          IS(r.target(std::string(300, 'x')), "File name too long");
          std::string deep;
          for (int i = 0; i < 600; ++i) deep += "/abcdefghi";
          IS(r.target(deep), "File name too long");
        }) == "");
}

TEST_CASE("paths: the directory of nodes is kept from one to the next") {
  Bundle bundle;

  CHECK(probe(bundle, [&](Rooted& r) {
          const char* name = nullptr;
          const long dev = init::open_parent(r.c, "/dev/null", name);
          IS(name, "null");
          IS(r.place(dev), "/dev");
          HOLDS(init::open_parent(r.c, "/dev/zero", name) == dev);
          IS(name, "zero");
          const long net = init::open_parent(r.c, "/dev/net/tun", name);
          IS(r.place(net), "/dev/net");
          IS(r.place(init::open_parent(r.c, "/top", name)), "");
          init::drop_parent(r.c);
          HOLDS(r.c.parent_path == nullptr);
        }) == "");
}

TEST_CASE("paths: no fd is lost, whatever happens") {
  Bundle bundle;
  bundle.link("/b", "/a");
  bundle.link("/a", "/b");
  spill(bundle.root("/file"), "x");
  CHECK(probe(bundle, [&](Rooted& r) {
          const int before = open_fds();
          for (const char* path : {"/etc", "/n/e/w", "/a/x", "/file/x", "/file", "/no/../x"}) {
            r.target(path);
            r.target(path, Missing::kFile);
            r.target(path, Missing::kDirectory, plan::kMountNoSymlinks);
          }
          HOLDS(open_fds() == before);
        }) == "");
}
