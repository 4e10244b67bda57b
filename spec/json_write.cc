// The writing half of the adapter to the JSON library.

#include "spec/json_write.h"

#include <optional>

#include "spec/json_library_write.h"

namespace coracle::spec {

using Compact = rapidjson::Writer<rapidjson::StringBuffer>;
using Pretty = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

struct JsonWriter::Impl {
  rapidjson::StringBuffer buffer{nullptr, 2048};
  std::optional<Compact> compact;
  std::optional<Pretty> pretty;

  // One call on whichever writer it is.
  template <typename Call>
  void write(Call call) {
    bool done = compact ? call(*compact) : call(*pretty);
    if (!done) throw Error("internal error: JSON library: a value could not be written");
  }
};

JsonWriter::JsonWriter(JsonStyle style) : impl_(std::make_unique<Impl>()) {
  if (style == JsonStyle::kCompact) {
    impl_->compact.emplace(impl_->buffer);
    return;
  }
  impl_->pretty.emplace(impl_->buffer);
  bool tabs = style == JsonStyle::kTabs;
  impl_->pretty->SetIndent(tabs ? '\t' : ' ', tabs ? 1 : 2);
}

JsonWriter::~JsonWriter() = default;

JsonWriter& JsonWriter::begin_object() {
  impl_->write([](auto& writer) { return writer.StartObject(); });
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  impl_->write([](auto& writer) { return writer.EndObject(); });
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  impl_->write([](auto& writer) { return writer.StartArray(); });
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  impl_->write([](auto& writer) { return writer.EndArray(); });
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) { return value(name); }

JsonWriter& JsonWriter::value(std::string_view text) {
  std::string repaired;
  if (find_invalid_utf8(text) != text.size()) text = repaired = to_utf8(text);
  const char* data = text.empty() ? "" : text.data();
  auto size = static_cast<rapidjson::SizeType>(text.size());
  impl_->write([=](auto& writer) { return writer.String(data, size); });
  return *this;
}

JsonWriter& JsonWriter::value(bool truth) {
  impl_->write([truth](auto& writer) { return writer.Bool(truth); });
  return *this;
}

JsonWriter& JsonWriter::value_signed(int64_t number) {
  impl_->write([number](auto& writer) { return writer.Int64(number); });
  return *this;
}

JsonWriter& JsonWriter::value_unsigned(uint64_t number) {
  impl_->write([number](auto& writer) { return writer.Uint64(number); });
  return *this;
}

JsonWriter& JsonWriter::number(std::string_view digits) {
  impl_->write([digits](auto& writer) {
    return writer.RawValue(digits.data(), digits.size(), rapidjson::kNumberType);
  });
  return *this;
}

JsonWriter& JsonWriter::null() {
  impl_->write([](auto& writer) { return writer.Null(); });
  return *this;
}

std::string JsonWriter::take() {
  bool complete = impl_->compact ? impl_->compact->IsComplete() : impl_->pretty->IsComplete();
  if (!complete) throw Error("internal error: JSON document is not complete");
  std::string text(impl_->buffer.GetString(), impl_->buffer.GetSize());
  impl_->buffer.Clear();
  if (impl_->compact) impl_->compact->Reset(impl_->buffer);
  if (impl_->pretty) impl_->pretty->Reset(impl_->buffer);
  return text;
}

}  // namespace coracle::spec
