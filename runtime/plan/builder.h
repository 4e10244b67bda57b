// Builder: collects steps, strings and arrays of a plan, then lays them out as one block.
//
// Refs and lists handed out stay valid: offsets are relative to the arena and shifted once, in
// finish(). Pure: no system call, no global state.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "runtime/plan/format.h"

namespace coracle::plan {

class Builder {
 public:
  Builder();

  // A copy of `text`, NUL-terminated; {0} for an empty default-constructed view.
  Ref str(std::string_view text);
  // A copy of `count` elements, aligned to 8 bytes.
  template <class T>
  List list(const T* data, size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    return raw_list(data, count, sizeof(T));
  }
  template <class T>
  List list(const std::vector<T>& v) {
    return list(v.data(), v.size());
  }
  // argv/envp: a 0-terminated array of offsets, which the init turns into pointers in place.
  List strings(const std::vector<std::string_view>& v);
  // A new fd slot, -1 until a step fills it.
  Slot slot() { return static_cast<Slot>(slot_count_++); }

  template <class Payload>
  Step& add(Actor actor, std::string_view origin, const Payload& payload,
            OnError on_error = OnError::kFail) {
    Step& step = steps_.emplace_back();
    step = Step{OpOf<Payload>::kValue, actor, on_error, str(origin), {}};
    static_assert(sizeof(Payload) <= sizeof(step.payload) && std::is_trivially_copyable_v<Payload>);
    std::memcpy(step.payload, &payload, sizeof(Payload));
    return step;
  }
  template <class Payload>
  Step& parent(std::string_view origin, const Payload& p, OnError e = OnError::kFail) {
    return add(Actor::kParent, origin, p, e);
  }
  template <class Payload>
  Step& init(std::string_view origin, const Payload& p, OnError e = OnError::kFail) {
    return add(Actor::kInit, origin, p, e);
  }

  // The finished block; the builder is empty afterwards.
  std::vector<unsigned char> finish();

 private:
  List raw_list(const void* data, size_t count, size_t size);

  std::vector<Step> steps_;
  std::string arena_;  // offset kArenaBase + position
  uint32_t slot_count_ = 0;
};

// A read-only view of a finished block, for printing and for the parent's walk.
class View {
 public:
  explicit View(const unsigned char* base) : base_(base) {}
  const Header& header() const { return *reinterpret_cast<const Header*>(base_); }
  const Step* begin() const { return reinterpret_cast<const Step*>(base_ + header().steps); }
  const Step* end() const { return begin() + header().step_count; }
  // Empty for none.
  std::string_view str(Ref ref) const {
    return ref.off ? std::string_view(reinterpret_cast<const char*>(base_ + ref.off))
                   : std::string_view();
  }
  const char* c_str(Ref ref) const {
    return ref.off ? reinterpret_cast<const char*>(base_ + ref.off) : nullptr;
  }
  template <class T>
  const T* list(List list) const {
    return reinterpret_cast<const T*>(base_ + list.off);
  }

 private:
  const unsigned char* base_;
};

}  // namespace coracle::plan
