#include "spec/error.h"

#include <utility>

#include "spec/errno_words.h"
#include "spec/text.h"

namespace coracle::spec {

Error::Error(std::string message) : message_(std::move(message)) {}

Error::Error(std::string message, int err)
    : message_(std::move(message)), code_(err < 0 ? -err : err) {
  append(message_, ": ", errno_words(code_));
}

Error Error::at(std::string path, std::string reason) {
  Error error(path.empty() ? std::move(reason) : cat(path, ": ", reason));
  error.path_ = std::move(path);
  return error;
}

Error& Error::wrap(std::string_view context) {
  message_ = cat(context, ": ", message_);
  return *this;
}

Error& Error::explain(std::string_view why) {
  if (!why.empty()) append(message_, ": ", why);
  return *this;
}

Error& Error::locate(std::string_view file, int line, int column) {
  line_ = line;
  column_ = column;
  message_ =
      line > 0 ? cat(file, ":", line, ":", column, ": ", message_) : cat(file, ": ", message_);
  return *this;
}

}  // namespace coracle::spec
