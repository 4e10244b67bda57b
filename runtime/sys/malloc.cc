// malloc(3) and its family on sys::heap, for a static program on musl, which takes them from here
// when all of them are there ("Replacing malloc" is how its malloc directory's weak symbols are
// meant).
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "runtime/sys/heap.h"

namespace heap = coracle::sys::heap;

static void* or_enomem(void* block) {
  if (block == nullptr) errno = ENOMEM;
  return block;
}

extern "C" {

void* malloc(size_t size) { return or_enomem(heap::allocate(size)); }

void free(void* block) { heap::release(block); }

void* calloc(size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size) return or_enomem(nullptr);
  void* block = or_enomem(heap::allocate(count * size));  // not malloc(): gcc would see a calloc
  return block == nullptr ? nullptr : memset(block, 0, count * size);
}

void* realloc(void* block, size_t size) { return or_enomem(heap::resize(block, size)); }

void* aligned_alloc(size_t alignment, size_t size) {
  return or_enomem(heap::allocate_aligned(alignment, size));
}

void* memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }

int posix_memalign(void** block, size_t alignment, size_t size) {
  void* taken = heap::allocate_aligned(alignment, size);
  if (taken == nullptr) return ENOMEM;
  *block = taken;
  return 0;
}

size_t malloc_usable_size(void* block) { return block == nullptr ? 0 : heap::usable(block); }
}
