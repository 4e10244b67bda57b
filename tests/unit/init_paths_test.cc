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
  Bundle bundle;
  init::Context c{};

  Rooted() {
    c.root = open(bundle.root("").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    c.procfs = c.mask_tmpfs = c.sync = c.start = -1;
  }
  ~Rooted() {
    init::drop_parent(c);
    close(c.root);
  }
  // Where the target is, below the root; or the errno's words.
  std::string target(const char* path, Missing make = Missing::kDirectory, uint32_t flags = 0) {
    const Target t = init::open_target(c, path, flags, make);
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
  bool existed = false;
};

int open_fds() {
  int n = 0;
  for (int fd = 0; fd < 256; ++fd) n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

}  // namespace

TEST_CASE("paths: what exists is found, and nothing is made") {
  Rooted r;
  CHECK(r.target("/etc") == "/etc");
  CHECK(r.existed);
  CHECK(r.target("etc/../tmp") == "/tmp");
  CHECK(r.target("/../../..").empty());
  CHECK(r.target("/missing", Missing::kFail) == "No such file or directory");
  CHECK_FALSE(exists(r.bundle.root("/missing")));
}

TEST_CASE("paths: missing directories and files are made") {
  Rooted r;
  umask(0);
  CHECK(r.target("/a/b//c/") == "/a/b/c");
  CHECK_FALSE(r.existed);
  CHECK(r.target("/etc/sub/file", Missing::kFile) == "/etc/sub/file");
  struct stat st {};
  CHECK(stat(r.bundle.root("/etc/sub/file").c_str(), &st) == 0);
  CHECK(st.st_mode == (S_IFREG | 0644));
  CHECK(stat(r.bundle.root("/a/b").c_str(), &st) == 0);
  CHECK(st.st_mode == (S_IFDIR | 0755));
  CHECK(r.target("/etc/sub/file/below") == "Not a directory");
  CHECK(r.target("/a/nothing/../x") == "No such file or directory");
}

TEST_CASE("paths: symlinks stay inside the root, dangling ones are followed to what they name") {
  Rooted r;
  const std::string canary = r.bundle.path("canary");
  r.bundle.link(canary, "/abs");
  r.bundle.link("../../../../../../.." + canary, "/dots");
  r.bundle.link("next/deep", "/etc/chain");
  r.bundle.link("/tmp/final", "/etc/next");
  r.bundle.link("/etc", "/dir");
  CHECK(r.target("/abs") == canary);
  CHECK(r.target("/dots/new") == canary + "/new");
  CHECK(r.target("/dir/chain/file", Missing::kFile) == "/tmp/final/deep/file");
  CHECK(r.target("/dir") == "/etc");
  CHECK(r.bundle.canary_untouched());
}

TEST_CASE("paths: loops end") {
  Rooted r;
  r.bundle.link("/b", "/a");
  r.bundle.link("/a", "/b");
  CHECK(r.target("/a") == "Too many levels of symbolic links");
  CHECK(r.target("/a/x") == "Too many levels of symbolic links");
  // Dangling and growing: every step leaves one more component to make.
  r.bundle.link("grow/x", "/grow");
  CHECK(r.target("/grow").find("oo") != std::string::npos);
}

TEST_CASE("paths: a chain of 41 dangling links is one too many, 30 are fine") {
  Rooted r;
  for (int i = 0; i < 60; ++i) r.bundle.link(spec::cat("/l", i + 1), spec::cat("/l", i));
  CHECK(r.target("/l30") == "/l60");
  rmdir(r.bundle.root("/l60").c_str());
  CHECK(r.target("/l5") == "Too many levels of symbolic links");
}

TEST_CASE("paths: no symlink at all where none has any business") {
  Rooted r;
  r.bundle.link("/etc", "/door");
  r.bundle.link("/nowhere", "/dangling");
  for (const char* path : {"/door", "/door/x", "/dangling"}) {
    CAPTURE(path);
    CHECK(r.target(path, Missing::kDirectory, plan::kMountNoSymlinks) ==
          "Too many levels of symbolic links");
  }
  CHECK_FALSE(exists(r.bundle.root("/etc/x")));
  CHECK(r.target("/real/new", Missing::kDirectory, plan::kMountNoSymlinks) == "/real/new");
}

TEST_CASE("paths: dest-nofollow finds the symlink itself") {
  Rooted r;
  r.bundle.link("/etc", "/door");
  CHECK(r.target("/door", Missing::kFail, plan::kMountTargetNoFollow) == "/door");
}

TEST_CASE("paths: long names are refused, not cut") {
  Rooted r;
  const std::string component(300, 'x');
  CHECK(r.target(component.c_str()) == "File name too long");
  std::string deep;
  for (int i = 0; i < 600; ++i) deep += "/abcdefghi";
  CHECK(r.target(deep.c_str()) == "File name too long");
}

TEST_CASE("paths: the directory of nodes is kept from one to the next") {
  Rooted r;
  const char* name = nullptr;
  const long dev = init::open_parent(r.c, "/dev/null", name);
  CHECK(std::string(name) == "null");
  CHECK(r.place(dev) == "/dev");
  CHECK(init::open_parent(r.c, "/dev/zero", name) == dev);
  CHECK(std::string(name) == "zero");
  const long net = init::open_parent(r.c, "/dev/net/tun", name);
  CHECK(r.place(net) == "/dev/net");
  CHECK(r.place(init::open_parent(r.c, "/top", name)).empty());
  init::drop_parent(r.c);
  CHECK(r.c.parent_path == nullptr);
}

TEST_CASE("paths: no fd is lost, whatever happens") {
  Rooted r;
  r.bundle.link("/b", "/a");
  r.bundle.link("/a", "/b");
  spill(r.bundle.root("/file"), "x");
  const int before = open_fds();
  for (const char* path : {"/etc", "/n/e/w", "/a/x", "/file/x", "/file", "/no/../x"}) {
    r.target(path);
    r.target(path, Missing::kFile);
    r.target(path, Missing::kDirectory, plan::kMountNoSymlinks);
  }
  CHECK(open_fds() == before);
}
