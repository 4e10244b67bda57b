// Memory for a child that is cloned to do a few calls and then to exec or to exit: the stack it
// runs on, and at the other end what it tells its parent. Shared, so that it can tell also from
// memory of its own.
#pragma once

#include <sys/mman.h>

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
    address_ = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
#if defined(__SANITIZE_ADDRESS__)
    // An earlier child left its frames by exec: what the sanitizer noted of them still stands.
    if (*this) ASAN_UNPOISON_MEMORY_REGION(address_, kSize);
#endif
  }
  ~ChildStack() {
    if (*this) ::munmap(address_, kSize);
  }
  ChildStack(const ChildStack&) = delete;
  ChildStack& operator=(const ChildStack&) = delete;
  explicit operator bool() const { return address_ != MAP_FAILED; }  // else errno says why

  Outcome* outcome() { return static_cast<Outcome*>(address_); }
  // The stack grows down from the end, away from the outcome at the start.
  void* top() { return static_cast<char*>(address_) + kSize; }

 private:
  static constexpr size_t kSize = 64 * 1024;
  void* address_;
};

}  // namespace coracle::sys
