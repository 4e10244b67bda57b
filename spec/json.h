#pragma once
// Reading JSON: a strict parser and declarative tables that map it onto plain structs.
//
// Strict means: UTF-8 only, no NUL in or outside strings, no duplicate keys, no comments, nothing
// after the document, an object or array at the top; whole numbers only where numbers are read.
// Limits: 16 MiB a document, 64 levels, 1 MiB a string, 65536 members or elements.
// Unknown properties are ignored (config.md: "Runtimes ... MUST NOT generate errors when they
// encounter an unknown property"); one that is nearly a known one is told (near_misses()). A member
// whose value is null counts as absent.
//
// Errors are spec::Error with JSON path and position, e.g.
//   config.json:12:9: process.rlimits[2].type: expected a string
//
// To read a struct of your own, describe it once:
//
//   struct Record { std::string id; std::optional<int32_t> pid; std::vector<std::string> tags; };
//   template <>
//   struct spec::Fields<Record> {
//     static constexpr Field kTable[] = {
//         field<&Record::id>("id", kRequired),
//         field<&Record::pid>("pid"),
//         field<&Record::tags>("tags"),
//     };
//   };
//   Record record = spec::read_json<Record>(bytes, "state.json");
//
// Members may be bool, any integer, std::string, std::string_view (which then needs a Text that
// lives on: use `Text text(...); auto record = text.parse<Record>();`), another described struct,
// and std::optional, std::vector or spec::Map of these (std::vector<std::pair<std::string, T>>
// is the map that owns its strings).

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "spec/spec.h"

namespace coracle::spec {

class Error;
class Text;

inline constexpr size_t kMaxDocumentSize = 16 << 20;  // bytes
inline constexpr size_t kMaxDepth = 64;
inline constexpr size_t kMaxStringSize = 1 << 20;  // bytes
inline constexpr size_t kMaxElements = 65536;

// One value of the parsed tree, and where it is. Borrowed: it must not outlive the Value it came
// from, nor the visit in which it was handed out. The as_... functions throw Error if the value
// is of another type or out of range.
class Value {
 public:
  bool is_null() const;
  bool is_array() const;
  bool is_object() const;
  bool as_bool() const;
  int64_t as_signed(int64_t min, int64_t max) const;
  uint64_t as_unsigned(uint64_t max) const;
  std::string_view as_string() const;  // NUL-terminated, lives as long as the Text

  size_t expect_array() const;   // number of elements
  size_t expect_object() const;  // number of members
  Value element(size_t i) const;
  Value member(size_t i) const;                  // in the order of the file
  std::string_view key() const { return key_; }  // of a member

  std::string path() const;  // process.rlimits[2].type
  [[noreturn]] void fail(std::string reason) const;
  // This member is ignored, but looks like `name`.
  void note_near_miss(std::string_view name) const;

 private:
  friend class Text;
  Value(const void* node, const Value* parent, std::string_view key, size_t index)
      : node_(node), parent_(parent), key_(key), index_(index) {}

  static constexpr size_t kNoIndex = SIZE_MAX;
  const void* node_;
  const Value* parent_;
  std::string_view key_;
  size_t index_;
  Text* text_ = nullptr;  // of the root value
};

// ---- tables
// --------------------------------------------------------------------------------------

enum Presence : bool { kOptional = false, kRequired = true };

// One row of a struct's table.
struct Field {
  std::string_view name;
  void (*read)(const Value& value, void* object);
  Presence presence;
};

// Specialise with `static constexpr Field kTable[]` to make T readable. At most 64 rows.
template <typename T>
struct Fields;

template <typename T>
concept Described = requires {
  Fields<T>::kTable;
};

// Reads the members of an object into `object` by its table.
void read_fields(const Value& value, void* object, const Field* table, size_t rows);

inline void read(const Value& value, bool& out) { out = value.as_bool(); }
inline void read(const Value& value, std::string_view& out) { out = value.as_string(); }
inline void read(const Value& value, std::string& out) { out = value.as_string(); }

template <std::signed_integral T>
void read(const Value& value, T& out) {
  using Limits = std::numeric_limits<T>;
  out = static_cast<T>(value.as_signed(Limits::min(), Limits::max()));
}

template <std::unsigned_integral T>
void read(const Value& value, T& out) {
  out = static_cast<T>(value.as_unsigned(std::numeric_limits<T>::max()));
}

template <Described T>
void read(const Value& value, T& out) {
  read_fields(value, &out, Fields<T>::kTable, std::size(Fields<T>::kTable));
}

template <typename T>
void read(const Value& value, std::optional<T>& out);
template <typename T>
void read(const Value& value, std::vector<T>& out);
template <typename Key, typename T>
void read(const Value& value, std::vector<std::pair<Key, T>>& out);

template <typename T>
void read(const Value& value, std::optional<T>& out) {
  read(value, out.emplace());
}

template <typename T>
void read(const Value& value, std::vector<T>& out) {
  size_t count = value.expect_array();
  out.resize(count);
  for (size_t i = 0; i < count; ++i) read(value.element(i), out[i]);
}

// An object with free keys: spec::Map<T>, or with std::string keys where the strings are owned.
template <typename Key, typename T>
void read(const Value& value, std::vector<std::pair<Key, T>>& out) {
  size_t count = value.expect_object();
  out.resize(count);
  for (size_t i = 0; i < count; ++i) {
    Value member = value.member(i);
    out[i].first = member.key();
    read(member, out[i].second);
  }
}

template <typename T, typename Member>
void read_member(const Value& value, void* object, Member T::*member) {
  read(value, static_cast<T*>(object)->*member);
}

// A table's row for the pointed-to member.
template <auto MemberPointer>
constexpr Field field(std::string_view name, Presence presence = kOptional) {
  return {name, [](const Value& value, void* object) { read_member(value, object, MemberPointer); },
          presence};
}

// ---- documents
// -----------------------------------------------------------------------------------

// The text of one JSON document, and the copy of it that was parsed in place; strings read from
// it point into that copy. Movable; moving does not invalidate the strings.
class Text {
 public:
  // `file_name` is only for messages. `base` is put in front of every JSON path: a file that
  // holds what config.json has under "linux.resources" gets the paths it would have there.
  Text(std::string bytes, std::string_view file_name, std::string_view base = "");

  // Parses and reads the document as a T. Errors carry path and position.
  template <typename T>
  T parse() {
    T out{};
    visit([](const Value& root, void* object) { read(root, *static_cast<T*>(object)); }, &out);
    return out;
  }

  // Parses, and hands the root value to `visitor`, once.
  void visit(void (*visitor)(const Value& root, void* context), void* context);

  // Adds file, line and column to an error that has a JSON path, also long after parsing.
  void locate(Error& error) const;

  std::string_view bytes() const { return bytes_; }  // the text as given
  // What visit() ignored and what may have been meant, in words with a position; the first few.
  const std::vector<std::string>& near_misses() const { return near_misses_; }

 private:
  friend class Value;
  std::vector<std::string> near_misses_;
  std::string bytes_;  // as given; parsing in place destroys its copy, positions come from here
  std::unique_ptr<char[]> buffer_;
  std::string file_name_;
  std::string base_;
};

// For structs that own their strings.
template <typename T>
T read_json(std::string bytes, std::string_view file_name) {
  return Text(std::move(bytes), file_name).parse<T>();
}

// A configuration file or a part of one, with the Spec read from it. It is not validated:
// see spec/validate.h.
class Document {
 public:
  static Document parse_config(std::string bytes, std::string_view file_name);
  // The `process` object alone (exec --process FILE). Fills spec.process.
  static Document parse_process(std::string bytes, std::string_view file_name);
  // The `linux.resources` object alone (update --resources FILE). Fills spec.linux->resources.
  static Document parse_resources(std::string bytes, std::string_view file_name);
  // The `mounts` array alone (mounts add FILE). Fills spec.mounts.
  static Document parse_mounts(std::string bytes, std::string_view file_name);

  Spec spec;

  const Process& process() const { return *spec.process; }
  const LinuxResources& resources() const { return *spec.linux->resources; }

  // Adds file, line and column to an error whose JSON path is one of this document.
  void locate(Error& error) const { text_.locate(error); }
  std::string_view bytes() const { return text_.bytes(); }  // the text as given
  // Properties that are ignored and differ from a known one by case or one letter: warnings.
  const std::vector<std::string>& near_misses() const { return text_.near_misses(); }

 private:
  explicit Document(Text text) : text_(std::move(text)) {}
  Text text_;
};

}  // namespace coracle::spec
