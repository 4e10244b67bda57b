// Mutates JSON as a tree, so that most inputs get past the parser: a value is replaced, dropped,
// doubled or moved, or takes another document's place (crossover). One input in eight is mutated as
// plain bytes, and so is what is no JSON.
// Its copy of the library is not the one that is examined.
#define RAPIDJSON_NAMESPACE mutated_json
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed);
extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* one, size_t one_size, const uint8_t* two,
                                            size_t two_size, uint8_t* out, size_t max_size,
                                            unsigned seed);

namespace {

using mutated_json::Document;
using mutated_json::SizeType;
using mutated_json::Value;
using Random = std::minstd_rand;

constexpr unsigned kFlags =
    mutated_json::kParseIterativeFlag | mutated_json::kParseFullPrecisionFlag;
constexpr size_t kMostNodes = 20000;

size_t below(Random& random, size_t count) { return random() / 7 % count; }

void collect(Value& value, std::vector<Value*>& out) {
  if (out.size() >= kMostNodes) return;
  out.push_back(&value);
  if (value.IsObject())
    for (auto* m = &*value.MemberBegin(); m != &*value.MemberEnd(); ++m) collect(m->value, out);
  if (value.IsArray())
    for (Value* e = value.Begin(); e != value.End(); ++e) collect(*e, out);
}

std::vector<Value*> nodes_of(Value& root) {
  std::vector<Value*> out;
  collect(root, out);
  return out;
}

Value& any_node(Value& root, Random& random) {
  const auto nodes = nodes_of(root);
  return *nodes[below(random, nodes.size())];
}

bool parse(Document& document, const uint8_t* data, size_t size) {
  document.Parse<kFlags>(reinterpret_cast<const char*>(data), size);
  return !document.HasParseError();
}

// 0 if the text does not fit.
size_t write(const Value& value, uint8_t* out, size_t max_size) {
  mutated_json::StringBuffer buffer;
  mutated_json::Writer<mutated_json::StringBuffer> writer(buffer);
  if (!value.Accept(writer) || buffer.GetSize() > max_size) return 0;
  std::memcpy(out, buffer.GetString(), buffer.GetSize());
  return buffer.GetSize();
}

// ---- one value ---------------------------------------------------------------------------------

constexpr int64_t kNumbers[] = {0,         1,          -1,         2,         -2,        64,
                                255,       1000,       4095,       65535,     65536,     INT32_MAX,
                                INT32_MIN, 4294967295, 4294967296, INT64_MAX, INT64_MIN, 0777};

void mutate_string(Value& value, Document& d, Random& random) {
  constexpr size_t kLonger = 16;
  std::string text(value.GetString(), value.GetStringLength());
  const size_t size = text.size();
  text.resize(size + 1 + below(random, kLonger));
  text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size, text.size()));
  value.SetString(text.data(), static_cast<SizeType>(text.size()), d.GetAllocator());
}

void mutate_number(Value& value, Random& random) {
  const int64_t step = below(random, 2) == 0 ? 1 : -1;
  if (below(random, 2) == 0 && value.IsInt64() && value.GetInt64() < INT64_MAX &&
      value.GetInt64() > INT64_MIN)
    return void(value.SetInt64(value.GetInt64() + step));
  const int64_t number = kNumbers[below(random, std::size(kNumbers))];
  if (number < 0 || below(random, 8) != 0) return void(value.SetInt64(number));
  value.SetUint64(UINT64_MAX - static_cast<uint64_t>(number));
}

void make_scalar(Value& value, Random& random) {
  switch (below(random, 7)) {
    case 0:
      return void(value.SetNull());
    case 1:
      return void(value.SetBool(below(random, 2) == 0));
    case 2:
      return void(value.SetObject());
    case 3:
      return void(value.SetArray());
    case 4:
      return void(value.SetString(""));
    case 5:
      return void(value.SetDouble(0.5));
    default:
      return mutate_number(value, random);
  }
}

void mutate_scalar(Value& value, Document& d, Random& random) {
  if (below(random, 6) == 0) return make_scalar(value, random);
  if (value.IsString()) return mutate_string(value, d, random);
  if (value.IsNumber()) return mutate_number(value, random);
  if (value.IsBool()) return void(value.SetBool(!value.GetBool()));
  make_scalar(value, random);
}

// ---- containers --------------------------------------------------------------------------------

void mutate_object(Value& object, Document& d, Random& random) {
  const size_t count = object.MemberCount();
  if (count == 0) {
    object.AddMember("a", Value(1), d.GetAllocator());
    return;
  }
  auto member = object.MemberBegin() + static_cast<ptrdiff_t>(below(random, count));
  switch (below(random, 4)) {
    case 0:
      object.RemoveMember(member);
      return;
    case 1:
      return mutate_string(member->name, d, random);
    case 2:
      return make_scalar(member->value, random);
    default: {
      Value copy(any_node(d, random), d.GetAllocator());
      member->value.Swap(copy);
    }
  }
}

void mutate_array(Value& array, Document& d, Random& random) {
  const SizeType count = array.Size();
  if (count == 0 || below(random, 4) == 0) {
    Value copy(
        count == 0 ? any_node(d, random) : array[static_cast<SizeType>(below(random, count))],
        d.GetAllocator());
    array.PushBack(copy, d.GetAllocator());
    return;
  }
  const auto at = static_cast<SizeType>(below(random, count));
  switch (below(random, 3)) {
    case 0:
      array.Erase(array.Begin() + at);
      return;
    case 1:
      array[at].Swap(array[static_cast<SizeType>(below(random, count))]);
      return;
    default:
      make_scalar(array[at], random);
  }
}

void mutate(Value& value, Document& d, Random& random) {
  if (value.IsObject()) return mutate_object(value, d, random);
  if (value.IsArray()) return mutate_array(value, d, random);
  mutate_scalar(value, d, random);
}

}  // namespace

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Random random(seed);
  Document document;
  if (below(random, 8) == 0 || !parse(document, data, size))
    return LLVMFuzzerMutate(data, size, max_size);
  for (size_t i = 0; i <= below(random, 3); ++i)
    mutate(any_node(document, random), document, random);
  const size_t written = write(document, data, max_size);
  return written != 0 ? written : LLVMFuzzerMutate(data, size, max_size);
}

// A value of the second document takes the place of one of the first, or joins it under its name.
size_t LLVMFuzzerCustomCrossOver(const uint8_t* one, size_t one_size, const uint8_t* two,
                                 size_t two_size, uint8_t* out, size_t max_size, unsigned seed) {
  Random random(seed);
  Document first, second;
  if (!parse(first, one, one_size) || !parse(second, two, two_size)) return 0;
  Value& target = any_node(first, random);
  Value& source = any_node(second, random);
  if (target.IsObject() && source.IsObject() && source.MemberCount() > 0) {
    const auto& member =
        *(source.MemberBegin() + static_cast<ptrdiff_t>(below(random, source.MemberCount())));
    Value name(member.name, first.GetAllocator()), value(member.value, first.GetAllocator());
    target.RemoveMember(name);
    target.AddMember(name, value, first.GetAllocator());
  } else {
    target.CopyFrom(source, first.GetAllocator());
  }
  return write(first, out, max_size);
}
