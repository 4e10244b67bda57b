// Memory for a child that is cloned to do a few calls and then to exec or to exit: the stack it
// runs on, and what it tells its parent. That is shared, so that a child can tell also from memory
// of its own. The stack is not: a child that clones a further one without CLONE_VM goes on at the
// same time on the same frames, and each must have its own.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

// For what runs on such a stack and calls what does not return: the address sanitizer would look
// for the end of a stack it does not know, and say so on standard error, which is the container's.
#define CORACLE_ON_CHILD_STACK __attribute__((no_sanitize("address")))

namespace coracle::sys {

template <class Outcome>
class ChildStack {
 public:
  ChildStack() {
    address_ = map(nullptr, kOutcome + kStack, MAP_PRIVATE);
    if (*this && map(address_, kOutcome, MAP_SHARED | MAP_FIXED) == MAP_FAILED) {
      const int error = errno;
      ::munmap(address_, kOutcome + kStack);
      address_ = MAP_FAILED;
      errno = error;
    }
#if defined(__SANITIZE_ADDRESS__)
    // An earlier child left its frames by exec: what the sanitizer noted of them still stands.
    if (*this) ASAN_UNPOISON_MEMORY_REGION(address_, kOutcome + kStack);
#endif
  }
  ~ChildStack() {
    if (*this) ::munmap(address_, kOutcome + kStack);
  }
  ChildStack(const ChildStack&) = delete;
  ChildStack& operator=(const ChildStack&) = delete;
  explicit operator bool() const { return address_ != MAP_FAILED; }  // else errno says why

  Outcome* outcome() { return static_cast<Outcome*>(address_); }
  // The stack grows down from the end, away from the outcome at the start.
  void* top() { return static_cast<char*>(address_) + kOutcome + kStack; }

 private:
  static void* map(void* address, size_t size, int flags) {
    return ::mmap(address, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
  }

  static constexpr size_t kOutcome = 64 * 1024;  // whole pages, of whatever size the kernel's are
  static constexpr size_t kStack = 64 * 1024;
  static_assert(sizeof(Outcome) <= kOutcome);
  void* address_;
};

}  // namespace coracle::sys
