// How containerd calls the shim:
//
//   SHIM -namespace NS -address SOCKET -publish-binary PATH -id ID [-bundle DIR] [-debug]
//   start|delete SHIM -v | -info
//
// in the syntax of Go's flag package (-x v, --x v, -x=v; the first word that is no flag ends them).
// The options of containerd's versions differ in number and order; unknown ones are passed over.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coracle::shim {

struct Invocation {
  std::string name_space;
  std::string address;  // containerd's GRPC socket
  std::string id;
  std::string bundle;  // "": the working directory
  std::string action;  // start, delete, or ""
  bool debug = false;
  bool version = false;
  bool info = false;
};

// `words` without the program's name. Throws spec::Error.
Invocation parse_invocation(const std::vector<std::string_view>& words);

}  // namespace coracle::shim
