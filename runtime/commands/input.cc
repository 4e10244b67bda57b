#include "runtime/commands/input.h"

#include <unistd.h>

#include "runtime/sys/file.h"
#include "spec/error.h"
#include "spec/json.h"

namespace coracle::commands {

std::string read_input(const std::string& path) {
  std::string text;
  if (path == "-") {
    sys::Fd input(STDIN_FILENO);
    const int r = sys::read_all(input, text, spec::kMaxDocumentSize);
    input.release();  // 0 stays open: the next file must not get that number
    if (r) throw spec::Error("read standard input", r);
  } else if (int r = sys::read_named_file(path.c_str(), text, spec::kMaxDocumentSize)) {
    throw spec::Error(path, r);
  }
  return text;
}

}  // namespace coracle::commands
