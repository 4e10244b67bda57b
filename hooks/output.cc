#include "hooks/output.h"

namespace coracle::hooks {
namespace {

// The length of the well-formed UTF-8 character at `at` (Unicode, table 3-7), or 0.
size_t character(std::string_view s, size_t at) {
  auto byte = [&](size_t i) -> unsigned {
    return at + i < s.size() ? static_cast<unsigned char>(s[at + i]) : 0;
  };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  return byte(1) >= low && byte(1) <= high ? length : 0;
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
  return s;
}

bool is_control(std::string_view c) {
  unsigned char first = static_cast<unsigned char>(c[0]);
  if (c.size() == 1) return (first < 0x20 && first != '\n' && first != '\t') || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(c[1]) < 0xa0;  // U+0080 to U+009F
}

}  // namespace

void Tail::add(std::string_view data) {
  kept_.append(data);
  if (kept_.size() <= kTailSize) return;
  kept_.erase(0, kept_.size() - kTailSize);
  cut_ = true;
}

std::string Tail::text() const {
  std::string_view from = kept_;
  if (cut_) {  // perhaps within a character
    while (!from.empty() && (static_cast<unsigned char>(from[0]) & 0xc0) == 0x80) {
      from.remove_prefix(1);
    }
  }
  from = trimmed(from);
  std::string out = cut_ ? "..." : "";
  for (size_t at = 0; at < from.size();) {
    size_t length = character(from, at);
    std::string_view c = from.substr(at, length ? length : 1);
    if (length == 0 || is_control(c)) {
      out += '?';
    } else {
      out += c;
    }
    at += c.size();
  }
  return out;
}

}  // namespace coracle::hooks
