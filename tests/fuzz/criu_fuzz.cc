// What criu answers, and what its log says. The first byte says which.
#include "runtime/criu/log.h"
#include "runtime/criu/messages.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

namespace {

void read_answer(std::string_view bytes) {
  criu::Response response;
  if (!criu::decode(bytes, response)) return;
  require(response.restored_pid >= 0 && response.notify_pid >= 0, "a pid is none or positive");
  require(response.version <= 999999, "a version has three parts");
  fuzz::require_printable(criu::printable(response.error_text));
}

void read_log(std::string_view log) {
  constexpr size_t kMost = 4, kLongest = 4 * 400;
  const std::string errors = criu::errors_of(log, kMost);
  fuzz::require_printable(errors);
  require(errors.size() <= kMost * (kLongest + 2), "what is told of a log is bounded");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = fuzz::text_of(data, size);
  if (fuzz::take_choice(bytes, 2) == 0) {
    read_answer(bytes);
  } else {
    read_log(bytes);
  }
  return 0;
}
