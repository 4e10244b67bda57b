#include "runtime/engine/init_image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "runtime/coracle_init_blob.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"

// The bytes of the init, straight from the linker's output: no conversion, no copy at start-up.
// Global names: of two local ones in one section aarch64's linker makes one entry of the GOT.
__asm__(
    ".section .rodata.coracle_init, \"a\", @progbits\n"
    ".balign 16\n"
    ".globl coracle_init_begin, coracle_init_end\n"
    ".hidden coracle_init_begin, coracle_init_end\n"
    "coracle_init_begin:\n"
    ".incbin \"" CORACLE_INIT_PATH
    "\"\n"
    "coracle_init_end:\n"
    ".previous\n");

extern "C" const char coracle_init_begin[];
extern "C" const char coracle_init_end[];

namespace coracle::engine {

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U  // Linux 6.3
#endif

static size_t init_size() { return static_cast<size_t>(coracle_init_end - coracle_init_begin); }

sys::Fd sealed_copy(const char* name, const void* data, size_t size, unsigned flags) {
  const unsigned base = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int raw = memfd_create(name, base | flags);
  if (raw < 0 && errno == EINVAL) raw = memfd_create(name, base);  // before 6.3: no MFD_EXEC
  if (raw < 0) return sys::Fd(-errno);
  sys::Fd fd(raw);
  const int written = sys::write_all(fd, {static_cast<const char*>(data), size});
  if (written < 0) return sys::Fd(written);
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) < 0) return sys::Fd(-errno);
  return fd;
}

// A detached, read-only clone of the state root without `noexec` (/run usually has it), and the
// init in it: reachable by this fd alone, and not writable through it.
static sys::Fd open_init_file(const std::string& state_root) {
  sys::Fd root = sys::open_at(sys::At::cwd(), state_root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (!root) return root;
  static constexpr char kName[] = ".init";
  static constexpr char kTemporary[] = ".init.new";
  {
    sys::Fd file =
        sys::open_at(root, kTemporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0, 0500);
    if (!file) return file;
    const int written = sys::write_all(file, {coracle_init_begin, init_size()});
    if (written < 0) return sys::Fd(written);
  }
  const int renamed = sys::rename_at(root, kTemporary, root, kName);
  if (renamed < 0) return sys::Fd(renamed);
  const sys::Fd detached = sys::executable_clone(root);
  if (!detached) return sys::Fd(-detached.error());
  return sys::open_at(detached, kName, O_PATH | O_CLOEXEC | O_NOFOLLOW);
}

sys::Fd open_init(const std::string& state_root) {
  sys::Fd fd = sealed_copy("coracle-init", coracle_init_begin, init_size(), MFD_EXEC);
  if (fd || fd.error() != EACCES) return fd;
  return open_init_file(state_root);
}

}  // namespace coracle::engine
