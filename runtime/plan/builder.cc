#include "runtime/plan/builder.h"

namespace coracle::plan {

// The block is Header, arena, steps: the arena comes first so that its offsets are known while the
// plan is still being built.
static constexpr size_t kArenaBase = (sizeof(Header) + 7) & ~size_t{7};

Builder::Builder() {
  steps_.reserve(160);
  arena_.reserve(64 * 1024);
}

Ref Builder::str(std::string_view text) {
  if (text.data() == nullptr) return {0};
  const auto off = static_cast<uint32_t>(kArenaBase + arena_.size());
  arena_.append(text);
  arena_.push_back('\0');
  return {off};
}

List Builder::raw_list(const void* data, size_t count, size_t size) {
  if (count == 0) return {0, 0};
  arena_.resize((arena_.size() + 7) & ~size_t{7});
  const auto off = static_cast<uint32_t>(kArenaBase + arena_.size());
  arena_.append(static_cast<const char*>(data), count * size);
  return {off, static_cast<uint32_t>(count)};
}

List Builder::strings(const std::vector<std::string_view>& v) {
  std::vector<uint64_t> offsets;
  offsets.reserve(v.size() + 1);
  for (std::string_view s : v) offsets.push_back(str(s).off);
  offsets.push_back(0);
  return list(offsets);
}

std::vector<unsigned char> Builder::finish() {
  const std::vector<int32_t> slots(slot_count_, -1);
  const List slot_list = list(slots);
  arena_.resize((arena_.size() + 7) & ~size_t{7});

  Header header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.slots = slot_list;
  header.sync_fd = -1;
  header.step_count = static_cast<uint32_t>(steps_.size());
  header.steps = static_cast<uint32_t>(kArenaBase + arena_.size());
  header.size = static_cast<uint32_t>(header.steps + steps_.size() * sizeof(Step));

  std::vector<unsigned char> block(header.size);
  std::memcpy(block.data(), &header, sizeof(header));
  std::memcpy(block.data() + kArenaBase, arena_.data(), arena_.size());
  std::memcpy(block.data() + header.steps, steps_.data(), steps_.size() * sizeof(Step));
  steps_.clear();
  arena_.clear();
  slot_count_ = 0;
  return block;
}

}  // namespace coracle::plan
