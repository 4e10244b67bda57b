#pragma once
// A bundle of shell scripts, and running them as hooks.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/hooks.h"
#include "runtime/sys/file.h"
#include "spec/error.h"

namespace coracle::tests {

// A directory of scripts, which is the bundle too.
class Bundle {
 public:
  Bundle() {
    char name[] = "/tmp/hooks-test.XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Bundle() { sys::remove_tree(sys::At::cwd(), path_.c_str()); }
  const std::string& path() const { return path_; }
  std::string file(const char* name) const { return path_ + "/" + name; }

  std::string script(const char* name, const std::string& body, mode_t mode = 0755) {
    std::string path = file(name);
    sys::Fd out = sys::open_at(sys::At::cwd(), path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0, 0600);
    REQUIRE(out);
    REQUIRE(sys::write_all(out, "#!/bin/sh\n" + body + "\n") == 0);
    REQUIRE(fchmod(out.get(), mode) == 0);
    return path;
  }
  std::string read(const char* name) const {
    std::string text;
    int r = sys::read_file(sys::At::cwd(), file(name).c_str(), text);
    return r < 0 ? "(no file)" : text;
  }

 private:
  std::string path_;
};

inline spec::Hook hook(std::string_view path, spec::Strings args = {}, spec::Strings env = {}) {
  spec::Hook h;
  h.path = path;
  h.args = std::move(args);
  h.env = std::move(env);
  return h;
}

struct HookResult {
  std::string error;
  std::vector<std::string> warnings;
};

inline HookResult run(const Bundle& bundle, const std::vector<spec::Hook>& list,
                      hooks::Kind kind = hooks::Kind::kCreateRuntime,
                      std::string_view state = "{}") {
  HookResult result;
  hooks::Options options;
  options.bundle = bundle.path();
  try {
    hooks::run_hooks(kind, list, state, options, result.warnings);
  } catch (const spec::Error& error) {
    result.error = error.what();
  }
  return result;
}

}  // namespace coracle::tests
