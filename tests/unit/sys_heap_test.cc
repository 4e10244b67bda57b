#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "runtime/sys/heap.h"

namespace heap = coracle::sys::heap;

namespace {

struct Block {
  unsigned char* data;
  size_t size;
  unsigned char mark;
};

Block taken(void* data, size_t size, unsigned char mark) {
  REQUIRE(data != nullptr);
  REQUIRE(heap::usable(data) >= size);
  memset(data, mark, size);
  return {static_cast<unsigned char*>(data), size, mark};
}

bool intact(const Block& block) {
  for (size_t i = 0; i < block.size; ++i) {
    if (block.data[i] != block.mark) return false;
  }
  return true;
}

uintptr_t address(const void* data) { return reinterpret_cast<uintptr_t>(data); }

}  // namespace

TEST_CASE("heap: blocks are aligned, apart and as large as asked for, at every edge of a class") {
  std::vector<Block> blocks;
  unsigned char mark = 1;
  for (size_t size = 0; size <= 1100; ++size) {
    blocks.push_back(taken(heap::allocate(size), size, mark++));
  }
  for (size_t power = 2048; power <= heap::kLargest * 4; power *= 2) {
    for (const size_t size :
         {power - 1, power, power + 1, power + power / 4, power + power / 4 + 1})
      blocks.push_back(taken(heap::allocate(size), size, mark++));
  }
  for (const Block& block : blocks) {
    CHECK(address(block.data) % 16 == 0);
    CHECK(intact(block));
  }
  for (const Block& block : blocks) heap::release(block.data);
}

TEST_CASE("heap: what is released is taken again; the footprint stays") {
  auto round = [] {
    std::vector<void*> blocks;
    for (size_t size = 1; size < 200'000; size += 997) blocks.push_back(heap::allocate(size));
    for (void* block : blocks) heap::release(block);
  };
  round();
  const size_t footprint = heap::footprint();
  for (int i = 0; i < 200; ++i) round();
  CHECK(heap::footprint() == footprint);
}

TEST_CASE("heap: a mapping of its own goes back to the kernel") {
  const size_t before = heap::footprint();
  void* large = heap::allocate(heap::kLargest + 1);
  CHECK(heap::footprint() > before + heap::kLargest);
  heap::release(large);
  CHECK(heap::footprint() == before);
}

TEST_CASE("heap: resize keeps the contents, and the last block stays where it is") {
  Block block = taken(heap::allocate(100), 100, 7);
  Block other = taken(heap::allocate(100), 100, 8);
  void* moved = heap::resize(block.data, 5000);
  CHECK(intact({static_cast<unsigned char*>(moved), 100, 7}));
  CHECK(intact(other));
  std::vector<void*> used_up;  // until no released block of this size is left
  for (int i = 0; i < 300; ++i) used_up.push_back(heap::allocate(3000));
  Block last = taken(used_up.back(), 3000, 9);
  REQUIRE(heap::resize(last.data, 20'000) == last.data);
  CHECK(heap::resize(used_up.front(), 20'000) != used_up.front());
  CHECK(intact(last));
  void* mapped = heap::resize(last.data, heap::kLargest * 3);
  CHECK(intact({static_cast<unsigned char*>(mapped), 3000, 9}));
  CHECK(heap::resize(mapped, 10) == mapped);
}

TEST_CASE("heap: any power of two as alignment") {
  std::vector<Block> blocks;
  for (size_t alignment = 1; alignment <= (1U << 17); alignment *= 2) {
    for (const size_t size : {size_t{1}, size_t{100}, size_t{70'000}}) {
      blocks.push_back(taken(heap::allocate_aligned(alignment, size), size, 5));
      CHECK(address(blocks.back().data) % alignment == 0);
    }
  }
  for (const Block& block : blocks) CHECK(intact(block));
  const size_t footprint = heap::footprint();
  for (const Block& block : blocks) heap::release(block.data);
  CHECK(heap::footprint() < footprint);  // the large ones
}

TEST_CASE("heap: no memory for what is absurd") {
  CHECK(heap::allocate(SIZE_MAX) == nullptr);
  CHECK(heap::allocate(SIZE_MAX - 4096) == nullptr);
  CHECK(heap::allocate_aligned(1 << 20, SIZE_MAX - 100) == nullptr);
  void* block = heap::allocate(10);
  CHECK(heap::resize(block, SIZE_MAX / 2) == nullptr);
  heap::release(block);
  heap::release(nullptr);
}

TEST_CASE("heap: a hundred thousand random steps against what was written") {
  std::mt19937 random(1);
  std::vector<Block> blocks;
  auto size_of = [&] {
    const unsigned bits = random() % 18;
    return size_t{random() % (2U << bits)};
  };
  for (int step = 0; step < 100'000; ++step) {
    const size_t size = size_of();
    const auto mark = static_cast<unsigned char>(random());
    if (blocks.size() < 200 && random() % 2 == 0) {
      void* data = random() % 8 != 0 ? heap::allocate(size)
                                     : heap::allocate_aligned(size_t{16} << random() % 6, size);
      blocks.push_back(taken(data, size, mark));
    } else if (!blocks.empty()) {
      Block& block = blocks[random() % blocks.size()];
      REQUIRE(intact(block));
      if (random() % 3 == 0) {
        void* data = heap::resize(block.data, size);
        REQUIRE(
            intact({static_cast<unsigned char*>(data), std::min(size, block.size), block.mark}));
        block = taken(data, size, mark);
      } else {
        heap::release(block.data);
        block = blocks.back();
        blocks.pop_back();
      }
    }
  }
  for (const Block& block : blocks) heap::release(block.data);
  CHECK(heap::footprint() < (64 << 20));
}
