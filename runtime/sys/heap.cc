#include "runtime/sys/heap.h"

#include <sys/mman.h>

#include <bit>
#include <cstdint>
#include <cstring>

namespace coracle::sys::heap {
namespace {

constexpr size_t kAlign = 16;
constexpr size_t kFirstRegion = 256 << 10;
constexpr size_t kNextRegion = 256 << 10;

// Before each block. `back`: from the block to where its memory begins, kAlign but for aligned
// ones.
struct alignas(kAlign) Header {
  size_t size;  // of the memory behind `back`; of a mapping: all of it
  uint32_t back;
  uint32_t mapped;
};
static_assert(sizeof(Header) == kAlign);

struct Free {
  Free* next;
};

// Sizes up to 512 in steps of 16, then four to each power of two.
constexpr size_t kFine = 512;
constexpr size_t kClasses = kFine / kAlign + 4 * 7;  // up to 64 KiB

alignas(kAlign) char first_region[kFirstRegion];
char* next = first_region;
char* end = first_region + kFirstRegion;
Free* free_lists[kClasses];
size_t from_kernel = kFirstRegion;

struct Class {
  size_t index, size;
};

// The smallest class that holds `size`, 1 to kLargest.
Class class_of(size_t size) {
  if (size <= kFine) {
    const size_t index = (size + kAlign - 1) / kAlign - 1;
    return {index, (index + 1) * kAlign};
  }
  const unsigned power = std::bit_width(size - 1) - 1;  // 2^power <= size - 1
  const size_t step = size_t{1} << (power - 2);
  const size_t quarter = (size - 1 - (size_t{1} << power)) / step;
  const size_t base = kFine / kAlign + 4 * (power - 9);
  return {base + quarter, (size_t{1} << power) + (quarter + 1) * step};
}

Header* header(void* block) { return static_cast<Header*>(block) - 1; }
const Header* header(const void* block) { return static_cast<const Header*>(block) - 1; }

void* map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  from_kernel += bytes;
  return memory;
}

// What is left of the old region is lost: less than one block.
bool new_region() {
  void* memory = map(kNextRegion);
  if (memory == nullptr) return false;
  next = static_cast<char*>(memory);
  end = next + kNextRegion;
  return true;
}

void* place(char* memory, size_t size, uint32_t mapped) {
  auto* h = reinterpret_cast<Header*>(memory);
  h->size = size;
  h->back = kAlign;
  h->mapped = mapped;
  return h + 1;
}

void* allocate_mapping(size_t size) {
  constexpr size_t kPage = 4096;
  if (size > PTRDIFF_MAX - kPage) return nullptr;
  const size_t bytes = (size + kAlign + kPage - 1) & ~(kPage - 1);
  void* memory = map(bytes);
  return memory == nullptr ? nullptr : place(static_cast<char*>(memory), bytes, 1);
}

// Lets the last block taken from the region have `size` bytes, if that is what it is.
bool grow_last(void* block, size_t size) {
  Header* h = header(block);
  char* start = static_cast<char*>(block);
  if (h->mapped != 0 || h->back != kAlign || start + h->size != next || size > kLargest)
    return false;
  const size_t wanted = class_of(size).size;
  if (wanted > static_cast<size_t>(end - start)) return false;
  h->size = wanted;
  next = start + wanted;
  return true;
}

}  // namespace

void* allocate(size_t size) {
  if (size > kLargest) return allocate_mapping(size);
  const Class c = class_of(size == 0 ? 1 : size);
  if (Free* block = free_lists[c.index]) {
    free_lists[c.index] = block->next;
    return block;
  }
  if (static_cast<size_t>(end - next) < c.size + kAlign && !new_region()) return nullptr;
  char* memory = next;
  next += c.size + kAlign;
  return place(memory, c.size, 0);
}

void* allocate_aligned(size_t alignment, size_t size) {
  if (alignment <= kAlign) return allocate(size);
  if (size > PTRDIFF_MAX - alignment) return nullptr;
  char* block = static_cast<char*>(allocate(size + alignment));
  if (block == nullptr) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(block);
  const size_t shift = (alignment - address % alignment) % alignment;
  if (shift == 0) return block;
  const Header whole = *header(block);
  Header* h = header(block + shift);
  h->size = whole.size;
  h->back = static_cast<uint32_t>(shift + kAlign);
  h->mapped = whole.mapped;
  return block + shift;
}

void release(void* block) {
  if (block == nullptr) return;
  const Header h = *header(block);
  char* memory = static_cast<char*>(block) - h.back;
  if (h.mapped != 0) {
    from_kernel -= h.size;
    munmap(memory, h.size);
    return;
  }
  auto* entry = reinterpret_cast<Free*>(memory + kAlign);
  Free*& list = free_lists[class_of(h.size).index];
  entry->next = list;
  list = entry;
}

size_t usable(const void* block) {
  const Header* h = header(block);
  return h->mapped != 0 ? h->size - h->back : h->size - (h->back - kAlign);
}

void* resize(void* block, size_t size) {
  if (block == nullptr) return allocate(size);
  const size_t had = usable(block);
  if (size <= had || grow_last(block, size)) return block;
  void* larger = allocate(size);
  if (larger == nullptr) return nullptr;
  memcpy(larger, block, had);
  release(block);
  return larger;
}

size_t footprint() { return from_kernel; }

}  // namespace coracle::sys::heap
