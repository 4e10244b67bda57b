#pragma once
// Building text without streams or locales: cat("fd ", 3, ": ", name). Integers are written in
// decimal, characters and string views as they are. One allocation for the whole result.

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace coracle::spec {

// One piece of text for cat(): a view, or an integer written into its own small buffer.
class TextPiece {
 public:
  TextPiece(std::string_view text) : text_(text) {}
  TextPiece(const std::string& text) : text_(text) {}
  TextPiece(const char* text) : text_(text) {}
  TextPiece(char c) : text_(digits_, 1) { digits_[0] = c; }
  template <typename T>
  requires(std::integral<T> && !std::same_as<T, char> && !std::same_as<T, bool>)
      TextPiece(T number) {
    auto end = std::to_chars(digits_, digits_ + sizeof(digits_), number);
    text_ = {digits_, static_cast<size_t>(end.ptr - digits_)};
  }
  TextPiece(const TextPiece&) = delete;
  TextPiece& operator=(const TextPiece&) = delete;
  std::string_view view() const { return text_; }

 private:
  char digits_[24];
  std::string_view text_;
};

// Appends all pieces to `out`.
template <typename... Pieces>
void append(std::string& out, const Pieces&... pieces) {
  (out.append(TextPiece(pieces).view()), ...);
}

// The pieces, one after the other.
template <typename... Pieces>
std::string cat(const Pieces&... pieces) {
  std::string out;
  append(out, pieces...);
  return out;
}

// An absolute path without empty, "." and ".." components: "/a/./b//../c" is "/a/c". As text, so
// that it stays what the user wrote; symlinks are not looked at.
std::string clean_path(std::string_view path);

// The text in double quotes, for messages; control characters and bytes that are no UTF-8 are shown
// as \xNN, so that a name out of a config file can neither break a log line nor steer a terminal.
std::string quoted(std::string_view text);
// The same without the quotes, for a whole message.
std::string printable(std::string_view text);

// Whether one of the text's lines is `line`, whole.
bool has_line(std::string_view text, std::string_view line);

// The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629: shortest form, no
// surrogates, up to U+10FFFF), or text.size() if there is none.
size_t find_invalid_utf8(std::string_view text);

// The text with every byte that is not part of well-formed UTF-8 replaced by U+FFFD. For output
// that must be UTF-8 whatever a path or a program's output contains (JSON logs).
std::string to_utf8(std::string_view text);

}  // namespace coracle::spec
