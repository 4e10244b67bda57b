// A program that a container's output is piped into (log URI binary:///program?key=value&... or
// binary-v2:///...), as containerd's logging package expects it:
//
//   argv  program key value ...      env  CONTAINER_ID, CONTAINER_NAMESPACE and nothing else
//   3     reading end of stdout      4    reading end of stderr
//   5     to be written to or closed by the program when it is ready; with binary-v2 written to: an
//         end without a byte is the program's failure
//
// It ends by itself at the end of its input, or is told to when the container is deleted.
#pragma once

#include <functional>
#include <string>

#include "runtime/sys/fd.h"
#include "shim/loop.h"

namespace coracle::shim {

inline constexpr std::string_view kBinaryScheme = "binary://";
inline constexpr std::string_view kBinaryScheme2 = "binary-v2://";

// The path of a URI behind its scheme, decoded; what follows the path is left out. Pure.
std::string uri_path(std::string_view uri);
// The words of a URI's query, decoded: "a=b&c" is {"a", "b", "c"}. Pure.
std::vector<std::string> query_words(std::string_view query);

class Logger {
 public:
  struct Owner {
    std::string id;
    std::string name_space;
  };
  // `uri` begins with one of the schemes. `ended` is called once, from the loop, when the program
  // has ended. Throws spec::Error.
  Logger(Loop& loop, std::string_view uri, const Owner& owner, std::function<void()> ended);
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;
  // Tells a program that still runs to end (SIGTERM), and sees to it that it does.
  ~Logger();

  // Writing ends, to be taken; the reading ends stay open as long as the logger, so that a program
  // that crashes breaks no pipe.
  sys::Fd output;
  sys::Fd error;
  // Readable or at its end when the program is ready.
  sys::Fd ready;
  bool must_say_ready = false;

  bool has_ended() const { return !watch_; }

 private:
  Loop& loop_;
  std::function<void()> ended_;
  sys::Fd readers_[2];
  sys::Fd pidfd_;
  Watch watch_;
};

}  // namespace coracle::shim
