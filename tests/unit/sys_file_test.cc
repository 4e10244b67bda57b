#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "runtime/sys/file.h"

using namespace coracle::sys;

namespace {

struct Scratch {
  Scratch() {
    char name[] = "/tmp/coracle-file-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
    dir = open_at(At::cwd(), name, O_RDONLY | O_DIRECTORY);
    REQUIRE(dir);
  }
  ~Scratch() { remove_tree(At::cwd(), path.c_str()); }
  void file(const char* name, std::string_view content) {
    const Fd fd = open_at(dir, name, O_WRONLY | O_CREAT, 0, 0600);
    REQUIRE(fd);
    REQUIRE(write_all(fd, content) == 0);
  }
  std::string path;
  Fd dir;
};

}  // namespace

TEST_CASE("open_at: close-on-exec always, the mode on creation, errors as values") {
  Scratch s;
  const Fd fd = open_at(s.dir, "new", O_WRONLY | O_CREAT | O_EXCL, 0, 0640);
  REQUIRE(fd);
  CHECK(::fcntl(fd.get(), F_GETFD) == FD_CLOEXEC);
  struct stat st = {};
  REQUIRE(::fstat(fd.get(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0640);
  CHECK(open_at(s.dir, "none", O_RDONLY).error() == ENOENT);
  CHECK(open_at(s.dir, ".", O_RDWR | O_TMPFILE, 0, 0600));
}

TEST_CASE("open_at: resolve flags hold") {
  Scratch s;
  REQUIRE(::symlinkat("/", s.dir.get(), "link") == 0);
  CHECK(open_at(s.dir, "..", O_PATH, RESOLVE_BENEATH).error() == EXDEV);
  CHECK(open_at(s.dir, "link", O_PATH, RESOLVE_NO_SYMLINKS).error() == ELOOP);
  CHECK(open_at(s.dir, "link", O_PATH));
}

TEST_CASE("read_all: everything, but not more than the limit") {
  Scratch s;
  const std::string content(10000, 'x');
  s.file("f", content);
  std::string text = "old";
  CHECK(read_file(s.dir, "f", text) == 0);
  CHECK(text == content);
  CHECK(read_file(s.dir, "f", text, 10000) == 0);
  CHECK(read_file(s.dir, "f", text, 9999) == -EFBIG);
  CHECK(read_file(s.dir, "none", text) == -ENOENT);
  s.file("empty", "");
  CHECK(read_file(s.dir, "empty", text) == 0);
  CHECK(text.empty());
}

TEST_CASE("write_attribute neither creates nor truncates") {
  Scratch s;
  CHECK(write_attribute(s.dir, "f", "1") == -ENOENT);
  s.file("f", "abc");
  CHECK(write_attribute(s.dir, "f", "X") == 0);
  std::string text;
  CHECK(read_file(s.dir, "f", text) == 0);
  CHECK(text == "Xbc");
}

TEST_CASE("remove_tree removes symlinks and follows none") {
  Scratch s;
  REQUIRE(mkdir_at(s.dir, "keep", 0700) == 0);
  s.file("keep/file", "x");
  REQUIRE(mkdir_at(s.dir, "t", 0700) == 0);
  REQUIRE(mkdir_at(s.dir, "t/sub", 0700) == 0);
  s.file("t/sub/file", "x");
  REQUIRE(::symlinkat("../../keep", s.dir.get(), "t/sub/link") == 0);
  REQUIRE(::symlinkat("../keep", s.dir.get(), "t/link") == 0);
  CHECK(remove_tree(s.dir, "t") == 0);
  CHECK(open_at(s.dir, "t", O_PATH).error() == ENOENT);
  CHECK(open_at(s.dir, "keep/file", O_PATH));
  CHECK(remove_tree(s.dir, "t") == 0);

  REQUIRE(::symlinkat("keep", s.dir.get(), "top") == 0);
  CHECK(remove_tree(s.dir, "top") == 0);
  CHECK(open_at(s.dir, "keep/file", O_PATH));
  CHECK(remove_tree(s.dir, "keep/file") == 0);
}

TEST_CASE("list_dir leaves out . and ..") {
  Scratch s;
  s.file("f", "");
  REQUIRE(mkdir_at(s.dir, "d", 0700) == 0);
  std::vector<DirEntry> entries;
  CHECK(list_dir(s.dir, ".", entries) == 0);
  CHECK(entries.size() == 2);
  CHECK(list_dir(s.dir, "none", entries) == -ENOENT);
  CHECK(list_dir(s.dir, "f", entries) == -ENOTDIR);
}
