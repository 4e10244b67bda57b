#include "runtime/sys/memory.h"

#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace coracle::sys {

// Only segments that were never writable: their pages are those of the file.
static void release_segments() {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the auxiliary vector holds numbers
  const auto* headers = reinterpret_cast<const ElfW(Phdr)*>(getauxval(AT_PHDR));
  const auto count = getauxval(AT_PHNUM);
  const auto page = static_cast<uintptr_t>(getauxval(AT_PAGESZ));
  uintptr_t base = 0;  // of a position-independent build
  for (unsigned long i = 0; i < count; ++i)
    if (headers[i].p_type == PT_PHDR)
      base = reinterpret_cast<uintptr_t>(headers) - headers[i].p_vaddr;
  for (unsigned long i = 0; i < count; ++i) {
    if (headers[i].p_type != PT_LOAD || (headers[i].p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (base + headers[i].p_vaddr) & ~(page - 1);
    const uintptr_t end = (base + headers[i].p_vaddr + headers[i].p_memsz + page - 1) & ~(page - 1);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): computed from addresses as numbers
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
}

void release_idle_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  release_segments();
}

}  // namespace coracle::sys
