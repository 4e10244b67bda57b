#include <doctest/doctest.h>
#include <string.h>

#include <cerrno>
#include <string>

#include "spec/errno_words.h"
#include "spec/error.h"

using coracle::spec::errno_name;
using coracle::spec::errno_words;
using coracle::spec::Error;

TEST_CASE("an error shows its message") { CHECK(std::string(Error("no").what()) == "no"); }

TEST_CASE("an errno is put into words, not numbers") {
  Error error("open /x", ENOENT);
  CHECK(std::string(error.what()) == "open /x: No such file or directory (ENOENT)");
  CHECK(error.code() == ENOENT);
  CHECK(Error("open /x", -ENOENT).code() == ENOENT);
}

TEST_CASE("errno words: glibc's, with the name, whichever C library this is") {
  CHECK(errno_words(ERANGE) == "Numerical result out of range (ERANGE)");
  CHECK(errno_words(ENOTTY) == "Inappropriate ioctl for device (ENOTTY)");
  CHECK(errno_words(EOPNOTSUPP) == "Operation not supported (EOPNOTSUPP)");
  CHECK(errno_words(4711) == "Unknown error 4711");
  CHECK(errno_name(4711) == "");
#ifdef __GLIBC__
  for (int number = 1; number < 200; ++number) {
    CAPTURE(number);
    const char* name = strerrorname_np(number);
    if (name == nullptr) continue;
    CHECK(errno_name(number) == name);
    CHECK(errno_words(number) == std::string(strerror(number)) + " (" + name + ")");
  }
#endif
}

TEST_CASE("a JSON path stands before the reason") {
  Error error = Error::at("linux.namespaces[1].type", "unknown");
  CHECK(std::string(error.what()) == "linux.namespaces[1].type: unknown");
  CHECK(error.path() == "linux.namespaces[1].type");
  CHECK(std::string(Error::at("", "empty").what()) == "empty");
}

TEST_CASE("position and context are put in front") {
  Error error = Error::at("a.b", "bad");
  error.locate("config.json", 3, 7).wrap("create");
  CHECK(std::string(error.what()) == "create: config.json:3:7: a.b: bad");
  CHECK(error.line() == 3);
  CHECK(error.column() == 7);
  CHECK(error.path() == "a.b");
}
