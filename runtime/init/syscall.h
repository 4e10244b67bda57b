// System calls by number, without a C library: they return the result or -errno, touch no errno,
// take no lock and allocate nothing. Used by the freestanding init, and hosted by its tests.
#pragma once

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

namespace coracle::init {

#if defined(__x86_64__)
[[nodiscard]] inline long raw_syscall(long n, long a = 0, long b = 0, long c = 0, long d = 0,
                                      long e = 0, long f = 0) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
[[nodiscard]] inline long raw_syscall(long n, long a = 0, long b = 0, long c = 0, long d = 0,
                                      long e = 0, long f = 0) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}
#else
#error "coracle's init knows x86_64 and aarch64"
#endif

inline long arg(long v) { return v; }
inline long arg(unsigned long v) { return static_cast<long>(v); }
inline long arg(int v) { return v; }
inline long arg(unsigned v) { return static_cast<long>(v); }
inline long arg(unsigned long long v) { return static_cast<long>(v); }
inline long arg(const volatile void* v) {
  return static_cast<long>(reinterpret_cast<uintptr_t>(v));
}
inline long arg(decltype(nullptr)) { return 0; }

// syscall(__NR_openat, AT_FDCWD, path, flags): any mix of integers and pointers.
template <class... Args>
[[nodiscard]] inline long syscall(long number, Args... args) {
  return raw_syscall(number, arg(args)...);
}

// For a result that does not matter: the caller says why.
inline void ignore(long) {}

// A seccomp filter may refuse either call; then the process ends by a fault.
[[noreturn]] inline void exit_now(int status) {
  ignore(syscall(__NR_exit_group, status));
  ignore(syscall(__NR_exit, status));
  __builtin_trap();
}

// Closes and forgets; a failing close leaves nothing to be done.
inline void close_fd(long fd) {
  if (fd >= 0) ignore(syscall(__NR_close, fd));
}

}  // namespace coracle::init
