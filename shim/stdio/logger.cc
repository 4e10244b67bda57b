#include "shim/stdio/logger.h"

#include <signal.h>

#include <memory>
#include <utility>
#include <vector>

#include "runtime/sys/pipe.h"
#include "runtime/sys/process.h"
#include "runtime/sys/worker.h"
#include "spec/error.h"
#include "spec/text.h"

namespace coracle::shim {

using spec::cat;
using spec::Error;

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 3986 percent-encoding; in a query also "+" for a blank.
std::string decode(std::string_view text, bool in_query) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool coded = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                       hex_digit(text[i + 2]) >= 0;
    if (coded) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(in_query && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

void must_pipe(sys::Fd& reader, sys::Fd& writer) {
  if (int r = sys::make_pipe(reader, writer)) throw Error("pipe", r);
}

}  // namespace

std::string uri_path(std::string_view uri) {
  return decode(uri.substr(0, uri.find_first_of("?#")), false);
}

std::vector<std::string> query_words(std::string_view query) {
  std::vector<std::string> out;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    out.push_back(decode(pair.substr(0, equals), true));
    if (equals != pair.npos) out.push_back(decode(pair.substr(equals + 1), true));
  }
  return out;
}

Logger::Logger(Loop& loop, std::string_view uri, const Owner& owner, std::function<void()> ended)
    : loop_(loop), ended_(std::move(ended)) {
  must_say_ready = uri.starts_with(kBinaryScheme2);
  uri.remove_prefix((must_say_ready ? kBinaryScheme2 : kBinaryScheme).size());
  const size_t question = uri.find('?');
  const std::string program = uri_path(uri);
  std::vector<std::string> argv = {program};
  if (question != uri.npos)
    for (std::string& word : query_words(uri.substr(question + 1))) argv.push_back(std::move(word));
  const std::vector<std::string> envp = {cat("CONTAINER_ID=", owner.id),
                                         cat("CONTAINER_NAMESPACE=", owner.name_space)};
  sys::Fd ready_writer;
  must_pipe(readers_[0], output);
  must_pipe(readers_[1], error);
  must_pipe(ready, ready_writer);
  pid_t pid = 0;
  const int r = sys::start_with_files(argv, envp, {&readers_[0], &readers_[1], &ready_writer}, pid);
  if (r) throw Error(cat("logger ", program), r);
  pidfd_ = sys::pidfd_open(pid);
  watch_ = Watch(loop, pidfd_, EPOLLIN, [this](uint32_t) {
    watch_.reset();
    ended_();
  });
}

Logger::~Logger() {
  constexpr int kLastMs = 12'000;
  if (has_ended()) return;
  watch_.reset();
  sys::pidfd_send_signal(pidfd_, SIGTERM);  // ended meanwhile: as wanted
  loop_.after(kLastMs, [pidfd = std::make_shared<sys::Fd>(std::move(pidfd_))] {
    sys::pidfd_send_signal(*pidfd, SIGKILL);  // the same
  });
}

}  // namespace coracle::shim
