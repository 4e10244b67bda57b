// Entry of the freestanding init: no libc start-up, no relocations, no heap.
//
//   argv[1]  the fd of the sealed plan      argv[2]  its size in bytes
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/signal.h>

#include "runtime/init/syscall.h"
#include "runtime/init/walk.h"

// What the compiler may call for struct copies and initialisation (GCC manual, "Standards":
// freestanding environments provide memcpy, memmove, memset and memcmp).
extern "C" {
void* memset(void* to, int value, size_t size) {
  auto* p = static_cast<unsigned char*>(to);
  while (size--) *p++ = static_cast<unsigned char>(value);
  return to;
}
void* memcpy(void* __restrict to, const void* __restrict from, size_t size) {
  auto* p = static_cast<unsigned char*>(to);
  const auto* q = static_cast<const unsigned char*>(from);
  while (size--) *p++ = *q++;
  return to;
}
void* memmove(void* to, const void* from, size_t size) {
  auto* p = static_cast<unsigned char*>(to);
  const auto* q = static_cast<const unsigned char*>(from);
  if (p <= q) return memcpy(to, from, size);
  while (size--) p[size] = q[size];
  return to;
}
int memcmp(const void* a, const void* b, size_t size) {
  const auto* p = static_cast<const unsigned char*>(a);
  const auto* q = static_cast<const unsigned char*>(b);
  for (; size--; ++p, ++q)
    if (*p != *q) return *p - *q;
  return 0;
}
}

namespace coracle::init {

static long number(const char* s) {
  long v = 0;
  while (*s >= '0' && *s <= '9') v = v * 10 + (*s++ - '0');
  return v;
}

[[noreturn]] static void refuse() { exit_now(127); }

// Not readable through /proc by the container (exec made the process dumpable again), and not
// outliving the creator: both before anything else. Neither can fail with these arguments but for a
// filter around us, and then this is not done at all.
static void shelter() {
  if (syscall(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) refuse();
  if (syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) refuse();
  ignore(syscall(__NR_umask, 0));  // modes of nodes and mount points are meant as they are written
}

extern "C" [[noreturn]] __attribute__((used)) void coracle_init_main(long* stack) {
  const long argc = stack[0];
  if (argc != 3) refuse();
  shelter();
  auto** argv = reinterpret_cast<char**>(stack + 1);
  const long fd = number(argv[1]);
  const long base =
      syscall(__NR_mmap, 0, number(argv[2]), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (base < 0 && base > -4096) refuse();

  static Context context;  // in .bss: the stack stays small
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a raw mmap(2) gives a number
  context.base = reinterpret_cast<unsigned char*>(base);
  context.root = context.procfs = context.mask_tmpfs = context.start = -1;
  context.sync = context.header().sync_fd;
  // Its descriptor goes with the others (PreserveFds).
  const long report = syscall(__NR_mmap, 0, plan::kReportSize, PROT_READ | PROT_WRITE, MAP_SHARED,
                              context.header().report_fd, 0);
  if (report < 0 && report > -4096) refuse();
  // NOLINTNEXTLINE(performance-no-int-to-ptr): as above
  context.report = reinterpret_cast<plan::Report*>(report);
  context.closes_late = true;
  walk(context);
}

}  // namespace coracle::init

#if defined(__x86_64__)
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call coracle_init_main\n");
#elif defined(__aarch64__)
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov x29, #0\n"
    "  mov x0, sp\n"
    "  bl coracle_init_main\n");
#endif
