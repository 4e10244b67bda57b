#pragma once
// Writing JSON. The result is always one valid document: strings that are not UTF-8 get U+FFFD in
// place of their bad bytes (JSON cannot hold them), numbers are integers, and a wrong order of
// calls (a value without a key in an object, an end too many) throws Error.
//
//   JsonWriter json(JsonStyle::kCompact);
//   json.begin_object().add("id", "c1").add("pid", 7).key("fds").begin_array().value("x");
//   json.end_array().end_object();
//   std::string text = json.take();

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coracle::spec {

enum class JsonStyle {
  kCompact,  // one line, no spaces
  kSpaces,   // indented by two spaces
  kTabs,     // indented by a tab
};

class JsonWriter {
 public:
  explicit JsonWriter(JsonStyle style);
  ~JsonWriter();
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool truth);
  template <std::integral T>
  JsonWriter& value(T number) {
    if constexpr (std::signed_integral<T>) {
      return value_signed(number);
    } else {
      return value_unsigned(number);
    }
  }
  // A number that is given as text, written as it is: "0.25". The caller has checked its form.
  JsonWriter& number(std::string_view digits);
  JsonWriter& null();
  // An array of values of one type.
  template <typename List>
  JsonWriter& array(const List& list) {
    begin_array();
    for (const auto& entry : list) value(entry);
    return end_array();
  }
  // An object of (key, value) pairs.
  template <typename Pairs>
  JsonWriter& object(const Pairs& pairs) {
    begin_object();
    for (const auto& [name, entry] : pairs) add(name, entry);
    return end_object();
  }

  template <typename T>
  JsonWriter& add(std::string_view name, const T& entry) {
    return key(name).value(entry);
  }

  // The whole text, without a newline at its end; the writer is then empty. Throws Error if the
  // document is not complete.
  std::string take();

 private:
  JsonWriter& value_signed(int64_t number);
  JsonWriter& value_unsigned(uint64_t number);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coracle::spec
