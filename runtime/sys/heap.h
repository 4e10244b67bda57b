// A heap for programs of one thread that live for milliseconds, and for one that lives for months
// in little memory (the shim). musl's own asks the kernel for nearly every vector that grows and
// gives back as eagerly: 118 system calls in one `run`; this one needs a handful.
//
// Blocks come from regions, the first of which is part of the program (.bss: pages that are never
// touched cost nothing). A block has a class of size and goes to the free list of its class, from
// which the next of that size is taken; regions are never given back. What is larger than kLargest
// is a mapping of its own. Each block stands behind a header of 16 bytes and is aligned to 16.
//
// Not for several threads: nothing here locks. runtime/sys/malloc.cc makes it malloc(3) where the C
// library is musl.
#pragma once

#include <cstddef>

namespace coracle::sys::heap {

inline constexpr size_t kLargest = 64 << 10;

// nullptr where there is no memory, or `size` is absurd. 0 bytes are a block too.
void* allocate(size_t size);
// `alignment`: a power of two.
void* allocate_aligned(size_t alignment, size_t size);
// `block` may be nullptr.
void release(void* block);
// As realloc(3). The block that was taken last grows where it is.
void* resize(void* block, size_t size);
// What may be used of the block: at least what was asked for.
size_t usable(const void* block);

// Bytes taken from the kernel so far and not given back, the first region included.
size_t footprint();

}  // namespace coracle::sys::heap
