#include "runtime/criu/log.h"

#include <deque>

#include "runtime/sys/file.h"
#include "spec/text.h"

namespace coracle::criu {

namespace {

constexpr size_t kTail = 256 << 10;
constexpr size_t kMost = 4;
constexpr size_t kLongest = 400;  // bytes of one message

// "(00.012345)      1: Error (criu/mount.c:12): mnt: what\n" -> "mnt: what"; "" if it is no error.
std::string_view error_in(std::string_view line) {
  const size_t at = line.find("Error (");
  if (at == line.npos) return {};
  const size_t end = line.find("): ", at);
  return end == line.npos ? line.substr(at) : line.substr(end + 3);
}

bool says_nothing(std::string_view message) {
  return message.find("FAILED.") != message.npos || message.empty();
}

}  // namespace

std::string printable(std::string_view text) {
  const std::string quoted = spec::quoted(text.substr(0, kLongest));
  return quoted.substr(1, quoted.size() - 2);
}

std::string errors_of(std::string_view log, size_t most) {
  std::deque<std::string_view> found;
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    log.remove_prefix(std::min(line.size() + 1, log.size()));
    const std::string_view message = error_in(line);
    if (says_nothing(message) || (!found.empty() && found.back() == message)) continue;
    found.push_back(message);
    if (found.size() > most) found.pop_front();
  }
  std::string text;
  for (std::string_view message : found)
    spec::append(text, text.empty() ? "" : "; ", printable(message));
  return text;
}

std::string errors_of_file(const std::string& path) {
  std::string text;
  const sys::Fd file = sys::open_at(sys::At::cwd(), path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!file) return "";
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  ::lseek(file.get(), size > static_cast<off_t>(kTail) ? size - static_cast<off_t>(kTail) : 0,
          SEEK_SET);
  sys::read_all(file, text, 2 * kTail);  // what could be read is better than nothing
  return errors_of(text, kMost);
}

}  // namespace coracle::criu
