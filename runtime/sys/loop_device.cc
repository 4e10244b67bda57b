#include "runtime/sys/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "runtime/sys/file.h"

namespace coracle::sys {

Fd make_loop_device(const char* file, bool read_only, std::string& device) {
  const int mode = read_only ? O_RDONLY : O_RDWR;
  const Fd backing = open_at(At::cwd(), file, mode);
  if (!backing) return Fd(-backing.error());
  const Fd control = open_at(At::cwd(), "/dev/loop-control", O_RDWR);
  if (!control) return Fd(-control.error());
  // Somebody else may take the free one before we do.
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return Fd(-errno);
    device = "/dev/loop" + std::to_string(number);
    Fd loop = open_at(At::cwd(), device.c_str(), mode);
    if (!loop) return loop;
    loop_config config{};
    config.fd = static_cast<uint32_t>(backing.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0);
    if (ioctl(loop.get(), LOOP_CONFIGURE, &config) == 0) return loop;
    if (errno != EBUSY) return Fd(-errno);
  }
  return Fd(-EBUSY);
}

}  // namespace coracle::sys
