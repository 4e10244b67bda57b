// The reading half of the adapter to the JSON library (json_write.cc is the other); nothing else
// knows it. RapidJSON parses in place (no copies of strings, NUL-terminated) and without
// recursion. Its number conversion is not used at all (numbers arrive as text, so CVE-2024-38517
// and CVE-2024-39684 cannot be reached), nor its character-wise check of UTF-8, which costs as
// much as all the rest: one pass over the whole text does that. A handler in front of its tree
// builder holds the limits.

#include "spec/json.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "spec/error.h"
#include "spec/json_library_read.h"
#include "spec/json_position.h"
#include "spec/near_names.h"
#include "spec/text.h"

namespace coracle::spec {
namespace {

using Pool = rapidjson::MemoryPoolAllocator<>;
using Node = rapidjson::GenericValue<rapidjson::UTF8<>, Pool>;
using Dom = rapidjson::GenericDocument<rapidjson::UTF8<>, Pool, Pool>;
using Reader = rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, Pool>;

constexpr unsigned kParseFlags = rapidjson::kParseInsituFlag | rapidjson::kParseIterativeFlag |
                                 rapidjson::kParseNumbersAsStringsFlag;

// What a number that is not a whole one of 64 bits is kept as; read only to choose the words.
constexpr double kFraction = 0.5;
constexpr double kTooLarge = 1e300;

// Stands between the parser and the tree and refuses what exceeds the limits.
class Limiter {
 public:
  // Only a \u escape can bring a NUL or half a surrogate pair into a string.
  Limiter(Dom& dom, bool has_escapes) : dom_(dom), has_escapes_(has_escapes) {}
  const char* reason() const { return reason_; }  // null: the parser's own error

  bool Null() { return dom_.Null(); }
  bool Bool(bool b) { return dom_.Bool(b); }
  bool Int(int i) { return dom_.Int(i); }
  bool Uint(unsigned u) { return dom_.Uint(u); }
  bool Int64(int64_t i) { return dom_.Int64(i); }
  bool Uint64(uint64_t u) { return dom_.Uint64(u); }
  bool Double(double d) { return dom_.Double(d); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    if (*text == '-') {
      int64_t number = 0;
      auto [end, error] = std::from_chars(text, text + size, number);
      return number_done(end == text + size, error) ? dom_.Int64(number) : dom_.Double(fallback_);
    }
    uint64_t number = 0;
    auto [end, error] = std::from_chars(text, text + size, number);
    return number_done(end == text + size, error) ? dom_.Uint64(number) : dom_.Double(fallback_);
  }
  bool String(const char* text, rapidjson::SizeType size, bool copy) {
    return good_text(text, size) && dom_.String(text, size, copy);
  }
  bool Key(const char* text, rapidjson::SizeType size, bool copy) {
    return good_text(text, size) && dom_.Key(text, size, copy);
  }
  bool StartObject() { return enter() && dom_.StartObject(); }
  bool EndObject(rapidjson::SizeType count) { return leave(count) && dom_.EndObject(count); }
  bool StartArray() { return enter() && dom_.StartArray(); }
  bool EndArray(rapidjson::SizeType count) { return leave(count) && dom_.EndArray(count); }

 private:
  bool number_done(bool whole_text, std::errc error) {
    fallback_ = error == std::errc::result_out_of_range ? kTooLarge : kFraction;
    return whole_text && error == std::errc();
  }
  bool refuse(const char* reason) {
    reason_ = reason;
    return false;
  }
  bool enter() { return ++depth_ <= kMaxDepth ? true : refuse("more than 64 levels of nesting"); }
  bool leave(size_t count) {
    --depth_;
    return count <= kMaxElements ? true : refuse("more than 65536 members or elements");
  }
  bool good_text(const char* text, size_t size) {
    if (size > kMaxStringSize) return refuse("a string of more than 1 MiB");
    if (!has_escapes_) return true;
    // A \u0000 would silently cut what follows where the string is used as a C string.
    if (size > 0 && memchr(text, 0, size)) return refuse("a NUL character in a string");
    if (has_surrogate(text, size)) return refuse("an unpaired surrogate in a string");
    return true;
  }
  // A lone low surrogate escape passes this version of the library and comes out as ED A0..BF xx.
  static bool has_surrogate(const char* text, size_t size) {
    const char* end = text + size;
    while ((text = static_cast<const char*>(memchr(text, 0xed, end - text)))) {
      if (++text == end) return false;
      if (static_cast<unsigned char>(*text) >= 0xa0) return true;
    }
    return false;
  }

  Dom& dom_;
  bool has_escapes_;
  size_t depth_ = 0;
  double fallback_ = 0;
  const char* reason_ = nullptr;
};

// Offset of the first byte from 18 to 1F, or text.size(). None may stand anywhere in JSON, but the
// parser, 16 bytes at a time, lets 1A to 1F pass in strings (RapidJSON 1.1.0: 0x19 in reader.h).
size_t find_control(std::string_view text) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x80 * kOnes;
  size_t at = 0;
  for (; text.size() - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, text.data() + at, sizeof(word));
    word = (word ^ 0x18 * kOnes) & 0xf8 * kOnes;  // a byte of zero: one that is looked for
    if (((word - kOnes) & ~word & kHigh) != 0) break;
  }
  while (at < text.size() && (text[at] & 0xf8) != 0x18) ++at;
  return at;
}

const Node& node_of(const void* node) { return *static_cast<const Node*>(node); }

// Sorted names are compared with their neighbours; few names are compared with one another.
bool duplicate_among(const Node& object, std::string_view& which) {
  auto name = [&object](size_t i) {
    const auto& key = (object.MemberBegin() + static_cast<ptrdiff_t>(i))->name;
    return std::string_view(key.GetString(), key.GetStringLength());
  };
  size_t count = object.MemberCount();
  if (count > 24) {
    Strings names(count);
    for (size_t i = 0; i < count; ++i) names[i] = name(i);
    std::sort(names.begin(), names.end());
    auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) which = *twin;
    return twin != names.end();
  }
  for (size_t i = 1; i < count; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (name(i) == (which = name(j))) return true;
    }
  }
  return false;
}

// RFC 8259 leaves the meaning of duplicate names open, and readers differ in which one they take:
// what one program has checked another would not run. Recursion is bounded by kMaxDepth.
void refuse_duplicates(const Value& value, const Node& node) {
  if (node.IsObject()) {
    std::string_view which;
    if (duplicate_among(node, which)) value.fail(cat("duplicate key ", quoted(which)));
  }
  size_t count = node.IsObject() ? node.MemberCount() : node.IsArray() ? node.Size() : 0;
  for (size_t i = 0; i < count; ++i) {
    const Node& child = node.IsObject() ? (node.MemberBegin() + static_cast<ptrdiff_t>(i))->value
                                        : node[static_cast<rapidjson::SizeType>(i)];
    if (!child.IsObject() && !child.IsArray()) continue;
    refuse_duplicates(node.IsObject() ? value.member(i) : value.element(i), child);
  }
}

std::string range_words(std::string_view min, std::string_view max) {
  return cat("expected a whole number from ", min, " to ", max);
}

[[noreturn]] void fail_number(const Value& value, const Node& node, std::string expected) {
  if (!node.IsNumber()) value.fail(std::move(expected));
  bool fraction = node.IsDouble() && node.GetDouble() == kFraction;
  value.fail(cat(fraction ? "not a whole number: " : "out of range: ", expected));
}

}  // namespace

// ---- Value
// -----------------------------------------------------------------------------------------

bool Value::is_null() const { return node_of(node_).IsNull(); }
bool Value::is_array() const { return node_of(node_).IsArray(); }
bool Value::is_object() const { return node_of(node_).IsObject(); }

bool Value::as_bool() const {
  if (!node_of(node_).IsBool()) fail("expected true or false");
  return node_of(node_).GetBool();
}

int64_t Value::as_signed(int64_t min, int64_t max) const {
  const Node& node = node_of(node_);
  if (node.IsInt64() && node.GetInt64() >= min && node.GetInt64() <= max) return node.GetInt64();
  fail_number(*this, node, range_words(cat(min), cat(max)));
}

uint64_t Value::as_unsigned(uint64_t max) const {
  const Node& node = node_of(node_);
  if (node.IsUint64() && node.GetUint64() <= max) return node.GetUint64();
  fail_number(*this, node, range_words("0", cat(max)));
}

std::string_view Value::as_string() const {
  const Node& node = node_of(node_);
  if (!node.IsString()) fail("expected a string");
  return {node.GetString(), node.GetStringLength()};
}

size_t Value::expect_array() const {
  if (!is_array()) fail("expected an array");
  return node_of(node_).Size();
}

size_t Value::expect_object() const {
  if (!is_object()) fail("expected an object");
  return node_of(node_).MemberCount();
}

Value Value::element(size_t i) const {
  return {&node_of(node_)[static_cast<rapidjson::SizeType>(i)], this, {}, i};
}

Value Value::member(size_t i) const {
  const auto& member = *(node_of(node_).MemberBegin() + static_cast<ptrdiff_t>(i));
  return {&member.value, this, {member.name.GetString(), member.name.GetStringLength()}, kNoIndex};
}

std::string Value::path() const {
  if (!parent_) return std::string(key_);
  std::string out = parent_->path();
  if (index_ == kNoIndex) {
    append_path_key(out, key_);
  } else {
    append(out, "[", index_, "]");
  }
  return out;
}

void Value::fail(std::string reason) const { throw Error::at(path(), std::move(reason)); }

void Value::note_near_miss(std::string_view name) const {
  constexpr size_t kMost = 16;
  const Value* root = this;
  while (root->parent_) root = root->parent_;
  Text& text = *root->text_;
  if (text.near_misses_.size() == kMost) return;
  Error told = Error::at(
      path(), cat("not a property of the specification, ignored; there is ", quoted(name)));
  text.locate(told);
  text.near_misses_.emplace_back(told.what());
}

// Readers written in Go take a name in any case for the property, so runc runs such a file.
static void fail_missing(const Value& value, std::string_view name) {
  std::string reason = cat("required property ", quoted(name), " is missing");
  for (size_t i = 0; i < value.expect_object(); ++i) {
    const std::string_view key = value.member(i).key();
    if (!is_near(key, name)) continue;
    append(reason, "; ", quoted(key), " is another",
           differ_by_case(key, name) ? ": upper and lower case matter" : "");
  }
  value.fail(std::move(reason));
}

static size_t row_of(std::string_view key, const Field* table, size_t rows) {
  size_t row = 0;
  while (row < rows && table[row].name != key) ++row;
  return row;
}

// What stands there by itself as well was not meant by a name of other letters.
static bool may_mean(std::string_view key, std::string_view name, bool present) {
  return present ? differ_by_case(key, name) : is_near(key, name);
}

static void note_unknown(const Value& value, const Field* table, size_t rows, uint64_t seen) {
  for (size_t i = 0; i < value.expect_object(); ++i) {
    const Value member = value.member(i);
    if (row_of(member.key(), table, rows) != rows) continue;
    size_t row = 0;
    while (row < rows && !may_mean(member.key(), table[row].name, (seen >> row & 1) != 0)) ++row;
    if (row < rows) member.note_near_miss(table[row].name);
  }
}

void read_fields(const Value& value, void* object, const Field* table, size_t rows) {
  uint64_t seen = 0;
  size_t count = value.expect_object();
  bool unknown = false;
  for (size_t i = 0; i < count; ++i) {
    Value member = value.member(i);
    const size_t row = row_of(member.key(), table, rows);
    unknown |= row == rows;
    if (row == rows || member.is_null()) continue;
    table[row].read(member, object);
    seen |= uint64_t{1} << row;
  }
  for (size_t row = 0; row < rows; ++row) {
    if (table[row].presence == kRequired && !(seen >> row & 1))
      fail_missing(value, table[row].name);
  }
  if (unknown) note_unknown(value, table, rows, seen);
}

// ---- Text
// ------------------------------------------------------------------------------------------

Text::Text(std::string bytes, std::string_view file_name, std::string_view base)
    : bytes_(std::move(bytes)), file_name_(file_name), base_(base) {}

static void place(Error& error, const std::string& bytes, std::string_view file,
                  std::string_view base) {
  std::string_view path = error.path();
  if (!path.starts_with(base)) return;
  path.remove_prefix(base.size());
  Position position = position_of_path(bytes, path);
  error.locate(file, position.line, position.column);
}

// What has no path is not the document's fault but an option's or the machine's.
void Text::locate(Error& error) const {
  if (!error.path().empty()) place(error, bytes_, file_name_, base_);
}

static Error syntax_error(const std::string& bytes, std::string_view file, size_t offset,
                          const char* reason) {
  Position position = position_of_offset(bytes, offset);
  Error error{std::string(reason)};
  error.locate(file, position.line, position.column);
  return error;
}

static const char* parser_words(rapidjson::ParseErrorCode code) {
  return code == rapidjson::kParseErrorDocumentRootNotSingular
             ? "junk after the end of the JSON text"
             : rapidjson::GetParseError_En(code);
}

void Text::visit(void (*visitor)(const Value& root, void* context), void* context) {
  if (bytes_.size() > kMaxDocumentSize) throw Error(cat(file_name_, ": larger than 16 MiB"));
  size_t nul = bytes_.find('\0');  // in place, the parser would take it for the end
  if (nul != std::string::npos) throw syntax_error(bytes_, file_name_, nul, "a NUL character");
  size_t bad = find_invalid_utf8(bytes_);
  if (bad != bytes_.size()) throw syntax_error(bytes_, file_name_, bad, "not valid UTF-8");
  const size_t control = find_control(bytes_);
  if (control != bytes_.size())
    throw syntax_error(bytes_, file_name_, control, "a control character");
  // The parser reads whole aligned blocks of 16 bytes.
  buffer_ = std::make_unique_for_overwrite<char[]>(bytes_.size() + 16);
  memcpy(buffer_.get(), bytes_.data(), bytes_.size());
  memset(buffer_.get() + bytes_.size(), 0, 16);

  // The tree of a usual config.json fits in here; what does not goes to the heap in 64 KiB pieces.
  alignas(16) char tree_space[40 << 10], stack_space[12 << 10], state_space[1 << 10];
  Pool tree_pool(tree_space, sizeof(tree_space));
  Pool stack_pool(stack_space, sizeof(stack_space));
  Pool state_pool(state_space, sizeof(state_space));
  Dom dom(&tree_pool, sizeof(stack_space) - 256, &stack_pool);
  Limiter limiter(dom, bytes_.find("\\u") != std::string::npos);
  auto generate = [&](Dom&) {
    Reader reader(&state_pool, 256);
    rapidjson::InsituStringStream stream(buffer_.get());
    auto result = reader.Parse<kParseFlags>(stream, limiter);
    if (!result.IsError()) return true;
    throw syntax_error(bytes_, file_name_, result.Offset(),
                       limiter.reason() ? limiter.reason() : parser_words(result.Code()));
  };
  dom.Populate(generate);

  const Node& node = dom;
  Value root(&node, nullptr, base_, Value::kNoIndex);
  root.text_ = this;
  try {
    if (!node.IsObject() && !node.IsArray()) root.fail("expected an object or an array");
    refuse_duplicates(root, node);
    visitor(root, context);
  } catch (Error& error) {
    place(error, bytes_, file_name_, base_);  // no path: the document as a whole
    throw;
  }
}

}  // namespace coracle::spec
