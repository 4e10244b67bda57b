// The program of the containers of the fault tests: says "alive" and ends; status 9 if it could
// not say it. Without a C library, so that almost every system call of a run is the runtime's.
namespace {

long call(long number, long a, long b, long c) {
#if defined(__x86_64__)
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
#endif
}

#if defined(__x86_64__)
constexpr long kWrite = 1, kExitGroup = 231;
#elif defined(__aarch64__)
constexpr long kWrite = 64, kExitGroup = 94;
#endif

}  // namespace

extern "C" [[noreturn]] void _start() {
  static const char words[] = "alive\n";
  long done = call(kWrite, 1, reinterpret_cast<long>(words), 6);
  for (;;) call(kExitGroup, done == 6 ? 0 : 9, 0, 0);
}
