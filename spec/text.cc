#include "spec/text.h"

#include <algorithm>
#include <cstring>

namespace coracle::spec {
namespace {

bool is_ascii_block(const char* block) {
  uint64_t word;
  memcpy(&word, block, sizeof(word));
  return (word & 0x8080808080808080) == 0;
}

// Length of the well-formed sequence at the start of `text` (which is not empty), 0 if none.
// The bounds of the second byte are those of table 3-7 of the Unicode standard.
size_t utf8_sequence(std::string_view text) {
  auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) return 1;
  size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                  : first >= 0xe0 && first <= 0xef ? 3
                  : first >= 0xf0 && first <= 0xf4 ? 4
                                                   : 0;
  if (length == 0 || text.size() < length) return 0;
  unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return length;
}

}  // namespace

size_t find_invalid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (text.size() - at >= 8 && is_ascii_block(text.data() + at)) {
      at += 8;
      continue;
    }
    size_t length = utf8_sequence(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return at;
}

std::string to_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t good = find_invalid_utf8(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) break;
    out.append("\xef\xbf\xbd");
    text.remove_prefix(1);
  }
  return out;
}

// Appends `text`, in which control characters (those of C1, U+0080 to U+009F, too, which terminals
// obey as well) and bytes that are no UTF-8 are shown as \xNN, and each of `also` gets a backslash.
static void append_printable(std::string& out, std::string_view text, std::string_view also) {
  static constexpr char kHex[] = "0123456789abcdef";
  while (!text.empty()) {
    const size_t length = std::max<size_t>(utf8_sequence(text), 1);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool c1 = first == 0xc2 && length == 2 && static_cast<unsigned char>(text[1]) < 0xa0;
    const bool plain = length > 1 ? !c1 : first >= 0x20 && first < 0x7f;
    if (plain && also.find(text[0]) != also.npos) out.push_back('\\');
    if (plain) {
      out.append(text.substr(0, length));
    } else {
      for (unsigned char c : text.substr(0, length)) append(out, "\\x", kHex[c >> 4], kHex[c & 15]);
    }
    text.remove_prefix(length);
  }
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  append_printable(out, text, "");
  return out;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  append_printable(out, text, "\"\\");
  out.push_back('"');
  return out;
}

bool has_line(std::string_view text, std::string_view line) {
  while (!text.empty()) {
    const std::string_view first = text.substr(0, text.find('\n'));
    if (first == line) return true;
    text.remove_prefix(std::min(text.size(), first.size() + 1));
  }
  return false;
}

std::string clean_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == path.npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      out.erase(out.empty() ? 0 : out.rfind('/'));
    } else {
      append(out, "/", part);
    }
  }
  return out.empty() ? "/" : out;
}

}  // namespace coracle::spec
