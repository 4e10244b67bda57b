#include "runtime/engine/report.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

namespace coracle::engine {

sys::Fd make_report() {
  sys::Fd file(memfd_create("coracle-report", MFD_CLOEXEC));
  if (!file || ftruncate(file.get(), plan::kReportSize) < 0) return sys::Fd(-errno);
  return file;
}

int read_report(const sys::Fd& file, plan::Report& out) {
  const ssize_t n = pread(file.get(), &out, sizeof(out), 0);
  if (n < 0) return -errno;
  if (n != static_cast<ssize_t>(sizeof(out))) return -EIO;
  out.failure.text[sizeof(out.failure.text) - 1] = '\0';
  return 0;
}

}  // namespace coracle::engine
