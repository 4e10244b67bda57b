// A directory for one test, removed with everything in it.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <string>

#include "runtime/sys/file.h"

namespace coracle::tests {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* parent = getenv("TMPDIR");
    path_ = std::string(parent ? parent : "/tmp") + "/coracle-test-XXXXXX";
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryDirectory() { sys::remove_tree(sys::At::cwd(), path_.c_str()); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace coracle::tests
