// What a container says to its notify socket: only a whole line counts.
#include "spec/text.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const bool has = spec::has_line(text, "READY=1");
  const bool should = spec::cat("\n", text, "\n").find("\nREADY=1\n") != std::string::npos;
  fuzz::require(has == should, "a line is found where it stands alone", text);
  return 0;
}
