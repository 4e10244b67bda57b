#include "spec/json_position.h"

#include <algorithm>
#include <charconv>

#include "spec/text.h"

namespace coracle::spec {
namespace {

bool is_plain_name(std::string_view key) {
  auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !key.empty() && std::all_of(key.begin(), key.end(), plain);
}

// One component of a path: the key of a member, or the index of an element.
struct Component {
  bool is_key = false;
  std::string key;
  size_t index = 0;
};

// Takes the first component off `path`; false at its end.
bool next_component(std::string_view& path, Component& out) {
  if (path.starts_with('.')) path.remove_prefix(1);
  if (path.empty()) return false;
  if (!path.starts_with('[')) {
    out.is_key = true;
    size_t end = std::min(path.find_first_of(".["), path.size());
    out.key = path.substr(0, end);
    path.remove_prefix(end);
    return true;
  }
  out.is_key = path.starts_with("[\"");
  if (!out.is_key) {
    size_t end = std::min(path.find(']'), path.size() - 1);
    std::from_chars(path.data() + 1, path.data() + end, out.index);
    path.remove_prefix(end + 1);
    return true;
  }
  out.key.clear();
  size_t i = 2;
  for (; i < path.size() && path[i] != '"'; ++i) {
    if (path[i] == '\\' && i + 1 < path.size()) ++i;
    out.key.push_back(path[i]);
  }
  path.remove_prefix(std::min(i + 2, path.size()));
  return true;
}

// Walks over a text that is known to be valid JSON.
class Scanner {
 public:
  Scanner(std::string_view text) : text_(text) { skip_space(); }

  size_t offset() const { return at_; }

  // From the start of a value to the start of the value that `component` names in it.
  bool descend(const Component& component) {
    size_t start = at_;
    char open = component.is_key ? '{' : '[';
    if (peek() != open) return false;
    take();
    for (size_t index = 0; peek() != '}' && peek() != ']' && at_ < text_.size(); ++index) {
      bool found = component.is_key ? match_key(component.key) : index == component.index;
      if (found) return true;
      skip_value();
      if (peek() == ',') take();
    }
    at_ = start;
    return false;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void take() {
    ++at_;
    skip_space();
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }
  // Keys are compared as they are written; one with escapes is not found, and its object stands
  // in for it.
  bool match_key(std::string_view key) {
    size_t begin = at_ + 1;
    skip_string();
    std::string_view raw = text_.substr(begin, at_ - begin - 1);
    skip_space();
    take();  // the colon
    return raw == key;
  }
  void skip_string() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    at_ = std::min(at_ + 1, text_.size());
  }
  void skip_value() {
    int depth = 0;
    do {
      char c = peek();
      if (c == '"') {
        skip_string();
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      ++at_;
      if (depth == 0 && c != '}' && c != ']') skip_scalar();
    } while (depth > 0 && at_ < text_.size());
    skip_space();
  }
  void skip_scalar() { at_ = std::min(text_.find_first_of(",]} \t\r\n", at_), text_.size()); }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Position position_of_offset(std::string_view text, size_t offset) {
  std::string_view before = text.substr(0, std::min(offset, text.size()));
  size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(before.size() - line_start) + 1};
}

Position position_of_path(std::string_view text, std::string_view path) {
  Scanner scanner(text);
  Component component;
  while (next_component(path, component) && scanner.descend(component)) {
  }
  return position_of_offset(text, scanner.offset());
}

void append_path_key(std::string& path, std::string_view key) {
  if (!is_plain_name(key)) {
    append(path, "[", quoted(key), "]");
  } else {
    append(path, path.empty() ? "" : ".", key);
  }
}

}  // namespace coracle::spec
