#include "runtime/engine/diagnose.h"

#include <elf.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "runtime/sys/file.h"
#include "spec/text.h"

namespace coracle::engine {

using spec::cat;
using spec::quoted;

namespace {

constexpr int kDeepestScript = 4;  // the kernel follows so many #! lines (BINPRM_MAX_RECURSION)
constexpr size_t kHeadSize = 256;  // BINPRM_BUF_SIZE: what the kernel looks at
constexpr size_t kLongestPath = 4096;

#if defined(__x86_64__)
constexpr uint16_t kOwnMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kOwnMachine = EM_AARCH64;
#endif

std::string machine_name(uint16_t machine) {
  static constexpr struct {
    uint16_t machine;
    const char* name;
  } kNames[] = {
      {EM_X86_64, "x86-64"}, {EM_386, "x86 (32 bit)"}, {EM_AARCH64, "arm64"},
      {EM_ARM, "arm"},       {EM_PPC64, "ppc64"},      {EM_S390, "s390x"},
      {EM_RISCV, "riscv"},   {EM_MIPS, "mips"},        {258, "loongarch"},
  };
  for (const auto& entry : kNames)
    if (entry.machine == machine) return entry.name;
  return cat("machine number ", machine);
}

sys::Fd open_below(const sys::Fd& root, const std::string& path, int flags) {
  return sys::open_at(root, path.c_str(), flags | O_CLOEXEC,
                      RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

// At most `size` bytes from `offset`; fewer at the end of the file, none on an error.
std::string read_piece(const sys::Fd& file, size_t size, uint64_t offset) {
  std::string bytes(size, '\0');
  const ssize_t n = pread(file.get(), bytes.data(), size, static_cast<off_t>(offset));
  bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return bytes;
}

template <class T>
bool read_struct(const sys::Fd& file, uint64_t offset, T& value) {
  const std::string bytes = read_piece(file, sizeof(T), offset);
  if (bytes.size() != sizeof(T)) return false;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return true;
}

// PT_INTERP of an ELF file of our own byte order; "" if it is static or malformed.
template <class Header, class Segment>
std::string elf_interpreter(const sys::Fd& file) {
  Header header;
  if (!read_struct(file, 0, header)) return "";
  for (int i = 0; i < header.e_phnum; ++i) {
    Segment segment;
    const uint64_t at = header.e_phoff + static_cast<uint64_t>(i) * header.e_phentsize;
    if (!read_struct(file, at, segment)) return "";
    if (segment.p_type != PT_INTERP) continue;
    const std::string path =
        read_piece(file, std::min<uint64_t>(segment.p_filesz, kLongestPath), segment.p_offset);
    return path.substr(0, path.find('\0'));
  }
  return "";
}

class Examiner {
 public:
  Examiner(const sys::Fd& root, int error) : root_(root), error_(error) {}

  std::string examine(const std::string& path, int depth) const {
    const sys::Fd entry = open_below(root_, path, O_PATH);
    struct stat st;
    if (!entry || fstat(entry.get(), &st) < 0) return "";
    if (S_ISDIR(st.st_mode)) return cat(quoted(path), " is a directory");
    if (!S_ISREG(st.st_mode)) return cat(quoted(path), " is not a regular file");
    if (error_ == EACCES) {
      std::string why = refusal(entry, path, st);
      if (!why.empty()) return why;
    }
    const sys::Fd file = open_below(root_, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (!file) return "";
    return content(file, path, depth);
  }

 private:
  static std::string refusal(const sys::Fd& entry, const std::string& path, const struct stat& st) {
    if ((st.st_mode & 0111) == 0)
      return cat(quoted(path), " has no permission to be executed (chmod +x)");
    struct statvfs fs;
    if (fstatvfs(entry.get(), &fs) == 0 && (fs.f_flag & ST_NOEXEC) != 0)
      return cat(quoted(path), " is on a file system mounted noexec");
    return "";
  }

  std::string content(const sys::Fd& file, const std::string& path, int depth) const {
    const std::string head = read_piece(file, kHeadSize, 0);
    if (head.starts_with("#!")) return script(head, path, depth);
    if (head.starts_with(ELFMAG)) return elf(file, head, path);
    if (error_ != ENOEXEC) return "";
    if (head.starts_with(std::string_view("\0asm", 4)))
      return cat(quoted(path), " is WebAssembly: use crun or youki, built with an engine for it");
    if (head.empty()) return cat(quoted(path), " is empty");
    return cat(quoted(path), " is neither a binary nor a script that starts with #!");
  }

  std::string script(const std::string& head, const std::string& path, int depth) const {
    const size_t begin = std::min(head.find_first_not_of(" \t", 2), head.size());
    const size_t end = std::min(head.find_first_of(" \t\n", begin), head.size());
    const std::string interpreter = head.substr(begin, end - begin);
    if (interpreter.empty()) return cat("the #! line of ", quoted(path), " names no interpreter");
    if (interpreter.back() == '\r')
      return cat("the #! line of ", quoted(path),
                 " ends with a carriage return (DOS line ending), so the interpreter ",
                 quoted(interpreter), " does not exist");
    if (!open_below(root_, interpreter, O_PATH))
      return cat("the interpreter ", quoted(interpreter), " of ", quoted(path), " does not exist");
    if (depth == kDeepestScript) return cat("too many interpreters in a row, from ", quoted(path));
    const std::string why = examine(interpreter, depth + 1);
    return why.empty() ? "" : cat("interpreter of ", quoted(path), ": ", why);
  }

  std::string elf(const sys::Fd& file, const std::string& head, const std::string& path) const {
    if (head.size() < sizeof(Elf32_Ehdr)) return cat(quoted(path), " is a truncated binary");
    const bool big = head[EI_DATA] == ELFDATA2MSB;
    constexpr size_t kMachineAt = offsetof(Elf64_Ehdr, e_machine);
    const auto low = static_cast<uint8_t>(head[kMachineAt + (big ? 1 : 0)]);
    const auto high = static_cast<uint8_t>(head[kMachineAt + (big ? 0 : 1)]);
    const auto machine = static_cast<uint16_t>(high << 8 | low);
    if (machine != kOwnMachine && error_ == ENOEXEC)
      return cat(quoted(path), " is built for ", machine_name(machine), ", this machine is ",
                 machine_name(kOwnMachine));
    if (big) return "";
    const std::string loader = head[EI_CLASS] == ELFCLASS64
                                   ? elf_interpreter<Elf64_Ehdr, Elf64_Phdr>(file)
                                   : elf_interpreter<Elf32_Ehdr, Elf32_Phdr>(file);
    if (loader.empty() || open_below(root_, loader, O_PATH)) return "";
    return cat("the dynamic loader ", quoted(loader), " of ", quoted(path), " does not exist");
  }

  const sys::Fd& root_;
  const int error_;
};

}  // namespace

std::string diagnose_exec(const sys::Fd& root, std::string_view program, int error) {
  switch (error) {
    case ENOENT:
    case ENOEXEC:
    case EACCES:
    case ELIBBAD:
      break;
    case E2BIG:
      return "process.args and process.env together are larger than the kernel takes";
    case ETXTBSY:
      return "the file is open for writing";
    default:
      return "";
  }
  if (!root || !program.starts_with('/')) return "";
  return Examiner(root, error).examine(std::string(program), 0);
}

std::string diagnose_exec(const std::string& rootfs, std::string_view program, int error) {
  if (rootfs.empty()) return "";
  return diagnose_exec(
      sys::open_at(sys::At::cwd(), rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), program,
      error);
}

}  // namespace coracle::engine
