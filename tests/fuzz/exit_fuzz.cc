// ROOT/ID/exit.json: whatever is accepted is written and read back equal.
#include "runtime/store/exit_record.h"
#include "tests/fuzz/fuzz.h"

using namespace coracle;
using fuzz::require;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  store::Exit exit;
  const std::string text(fuzz::text_of(data, size));
  if (!fuzz::accepts([&] { exit = store::parse_exit(text, "exit.json"); })) return 0;
  require(exit.code >= 0 && exit.code <= 255, "a code is an exit status");
  require(exit.signal >= 0 && exit.signal <= 64, "a signal is one");
  const std::string written = store::to_json(exit);
  require(store::to_json(store::parse_exit(written, "exit.json")) == written,
          "an exit record is read back", written);
  return 0;
}
