#include "tests/fuzz/fuzz.h"

#include <cstdio>
#include <cstdlib>

namespace coracle::fuzz {

void require(bool holds, const char* property, std::string_view value) {
  if (holds) return;
  fprintf(stderr, "property does not hold: %s: ", property);
  fwrite(value.data(), 1, value.size(), stderr);
  fputc('\n', stderr);
  abort();
}

static bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }

void require_printable(std::string_view message) {
  for (const char c : message)
    require(!is_control(c), "a message has no control characters", message);
}

void require_printable(const std::vector<std::string>& messages) {
  for (const std::string& message : messages) require_printable(message);
}

static bool is_step(std::string_view component) {
  return component.empty() || component == "." || component == "..";
}

bool is_clean_absolute(std::string_view path) {
  for (const char c : path)
    if (is_control(c)) return false;
  if (!path.starts_with('/')) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view component = path.substr(0, path.find('/'));
    if (is_step(component)) return false;
    path.remove_prefix(component.size());
  }
  return true;
}

}  // namespace coracle::fuzz
