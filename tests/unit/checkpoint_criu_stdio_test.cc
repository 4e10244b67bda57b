#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "runtime/checkpoint/criu_stdio.h"
#include "runtime/sys/file.h"
#include "spec/error.h"
#include "tests/unit/temporary_directory.h"

using namespace coracle;
using checkpoint::read_stdio;
using checkpoint::Stdio;
using checkpoint::write_stdio;

namespace {

struct Images {
  Images() : dir(sys::open_at(sys::At::cwd(), scratch.path().c_str(), O_RDONLY | O_DIRECTORY)) {}
  void put(const std::string& text) {
    const sys::Fd file =
        sys::open_at(dir, "descriptors.json", O_WRONLY | O_CREAT | O_TRUNC, 0, 0600);
    REQUIRE(sys::write_all(file, text) == 0);
  }
  tests::TemporaryDirectory scratch;
  sys::Fd dir;
};

}  // namespace

TEST_CASE("criu stdio: written and read back") {
  const Images images;
  const Stdio stdio = {"file[1f:2a]", "pipe:[4711]", "/dev/pts/0"};
  write_stdio(images.dir, stdio);
  CHECK(read_stdio(images.dir) == stdio);
  CHECK(checkpoint::externals_of(stdio) == std::vector<std::string>{"file[1f:2a]"});
  CHECK_FALSE(checkpoint::is_reconnected("/dev/pts/0"));
  CHECK_FALSE(checkpoint::is_reconnected(""));
}

TEST_CASE("criu stdio: a missing, short or long list, and what is none") {
  Images images;
  CHECK(read_stdio(images.dir) == Stdio{});
  images.put("[\"a\"]");
  CHECK(read_stdio(images.dir) == Stdio{"a", "", ""});
  images.put("[\"a\",\"b\",\"c\",\"d\"]");
  CHECK(read_stdio(images.dir) == Stdio{"a", "b", "c"});
  for (const char* bad : {"", "{}", "[1]", "[\"a\"", "[\"a\"]x"}) {
    CAPTURE(bad);
    images.put(bad);
    CHECK_THROWS_AS(read_stdio(images.dir), spec::Error);
  }
  images.put("[\"" + std::string(100'000, 'x') + "\"]");
  CHECK_THROWS_AS(read_stdio(images.dir), spec::Error);
}

TEST_CASE("criu stdio: a symlink in the place of the file is not followed") {
  const Images images;
  REQUIRE(symlink("/etc/passwd", (images.scratch.path() + "/descriptors.json").c_str()) == 0);
  CHECK_THROWS_AS(read_stdio(images.dir), spec::Error);
  CHECK_THROWS_AS(write_stdio(images.dir, {}), spec::Error);
}

TEST_CASE("criu stdio: a pipe is external if its other end is not among the processes") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const sys::Fd reader(ends[0]);
  const sys::Fd writer(ends[1]);
  const int saved = fcntl(1, F_DUPFD_CLOEXEC, 3);
  dup2(writer.get(), 1);
  const std::string inside = checkpoint::stdio_of({getpid()}, true)[1];  // we have both ends
  const_cast<sys::Fd&>(reader).reset();
  const std::string outside = checkpoint::stdio_of({getpid()}, true)[1];
  dup2(saved, 1);
  close(saved);
  CHECK(inside.empty());
  CHECK(outside.starts_with("pipe:["));
}
