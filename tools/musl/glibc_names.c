// What Debian's libgcc_eh.a and libseccomp.a ask of glibc and musl does not have under that name.
#define _GNU_SOURCE
#include <link.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

// libseccomp is built with _FORTIFY_SOURCE; only its dump of a filter as text prints.
int __fprintf_chk(FILE* file, int flag, const char* format, ...) {
  va_list arguments;
  (void)flag;
  va_start(arguments, format);
  const int n = vfprintf(file, format, arguments);
  va_end(arguments);
  return n;
}

// libgcc's unwinder asks glibc 2.35's _dl_find_object for the table of the object that a program
// counter is in. A static program is one object; dl_iterate_phdr(3) tells where its table is.

struct dl_find_object {  // as in glibc's <dlfcn.h>
  unsigned long long flags;
  void *map_start, *map_end;
  struct link_map* link_map;
  void* eh_frame;
  unsigned long long reserved[7];
};

struct search {
  ElfW(Addr) pc;
  struct dl_find_object* result;
};

static int examine(struct dl_phdr_info* info, size_t size, void* data) {
  struct search* search = data;
  const ElfW(Phdr)* table = NULL;
  int inside = 0;
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)* header = &info->dlpi_phdr[i];
    const ElfW(Addr) start = info->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_EH_FRAME) table = header;
    if (header->p_type != PT_LOAD || search->pc < start || search->pc - start >= header->p_memsz)
      continue;
    inside = 1;
    search->result->map_start = (void*)start;
    search->result->map_end = (void*)(start + header->p_memsz);
  }
  if (!inside || table == NULL) return 0;
  search->result->eh_frame = (void*)(info->dlpi_addr + table->p_vaddr);
  return 1;
}

int _dl_find_object(void* address, struct dl_find_object* result) {
  struct search search = {(ElfW(Addr))address, result};
  result->flags = 0;
  result->link_map = NULL;
  return dl_iterate_phdr(examine, &search) == 1 ? 0 : -1;
}
