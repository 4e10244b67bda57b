// Fd: the one owner of a file descriptor. Move-only; holds either an fd (>= 0) or, where a call
// failed, -errno. Below this folder's users nothing handles a raw int.
#pragma once

#include <unistd.h>

#include <utility>

namespace coracle::sys {

// For a result that does not matter: the caller says why.
inline void ignore(int) {}

class [[nodiscard]] Fd {
 public:
  Fd() = default;
  // Takes ownership of a result of a system call wrapper: an fd, or -errno.
  explicit Fd(int fd_or_error) : fd_(fd_or_error) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, kNone)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, kNone);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // errno of the failed call; 0 if there is an fd.
  int error() const { return fd_ >= 0 ? 0 : -fd_; }
  int release() { return std::exchange(fd_, kNone); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);  // Linux frees the number even when close reports an error
    fd_ = kNone;
  }

 private:
  static constexpr int kNone = -9;  // -EBADF
  int fd_ = kNone;
};

}  // namespace coracle::sys
