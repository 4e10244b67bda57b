#include "runtime/store/seccomp_cache.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "spec/text.h"

namespace coracle::store {
namespace {

using plan::seccomp::Program;
using sys::At;
using sys::Fd;

struct FileHeader {
  char magic[8];
  uint32_t key_size;  // bytes behind the header, padded to 8 with zeros
  uint32_t instruction_count;
  uint32_t flags;
  uint32_t notify;
  uint64_t checksum;  // of the other fields and the instructions
};
static_assert(sizeof(FileHeader) % 8 == 0);
constexpr char kMagic[8] = {'C', 'O', 'R', 'S', 'E', 'C', 'C', '1'};

constexpr size_t padded(size_t size) { return (size + 7) & ~size_t{7}; }

// FNV-1a over words of eight bytes: only has to spread; equality is compared.
uint64_t hash(std::string_view data) {
  uint64_t h = 0xcbf29ce484222325;
  while (!data.empty()) {
    uint64_t word = 0;
    size_t take = std::min(data.size(), sizeof(word));
    std::memcpy(&word, data.data(), take);
    h = (h ^ word) * 0x100000001b3;
    h ^= h >> 32;
    data.remove_prefix(take);
  }
  return h;
}

std::string_view bytes_of(const std::vector<uint64_t>& words) {
  return {reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint64_t)};
}

uint64_t checksum(FileHeader header, std::string_view instructions) {
  header.checksum = 0;
  return hash({reinterpret_cast<const char*>(&header), sizeof(header)}) ^ hash(instructions);
}

// The key: every field with its length, so that no two profiles have the same bytes.
class Key {
 public:
  explicit Key(const spec::LinuxSeccomp& s) {
    bytes_.reserve(16384);
    number(plan::seccomp::kGeneration);
    number(plan::seccomp::library_version());
    text(kArchitecture);
    text(s.defaultAction);
    optional(s.defaultErrnoRet);
    texts(s.architectures);
    number(s.flags.has_value());
    if (s.flags) texts(*s.flags);
    number(s.listenerPath.empty());
    number(s.syscalls.size());
    for (const spec::LinuxSyscall& syscall : s.syscalls) add(syscall);
  }
  const std::string& bytes() const { return bytes_; }

 private:
#if defined(__x86_64__) && defined(__ILP32__)
  static constexpr std::string_view kArchitecture = "x32";
#elif defined(__x86_64__)
  static constexpr std::string_view kArchitecture = "x86_64";
#elif defined(__aarch64__)
  static constexpr std::string_view kArchitecture = "aarch64";
#else
  static constexpr std::string_view kArchitecture = "other";
#endif

  void number(uint64_t n) { bytes_.append(reinterpret_cast<const char*>(&n), sizeof(n)); }
  void optional(const std::optional<uint32_t>& n) { number(n ? uint64_t{1} << 32 | *n : 0); }
  void text(std::string_view t) {
    uint32_t size = static_cast<uint32_t>(t.size());
    bytes_.append(reinterpret_cast<const char*>(&size), sizeof(size));
    bytes_.append(t);
  }
  void texts(const spec::Strings& list) {
    number(list.size());
    for (std::string_view t : list) text(t);
  }
  void add(const spec::LinuxSyscall& syscall) {
    texts(syscall.names);
    text(syscall.action);
    optional(syscall.errnoRet);
    number(syscall.args.size());
    for (const spec::LinuxSeccompArg& arg : syscall.args) {
      number(arg.index);
      number(arg.value);
      number(arg.valueTwo);
      text(arg.op);
    }
  }
  std::string bytes_;
};

std::string file_name(const std::string& key) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string name(16, '0');
  uint64_t h = hash(key);
  for (size_t i = 0; i < name.size(); ++i) name[i] = kDigits[h >> (60 - 4 * i) & 15];
  return name;
}

Fd open_directory(const std::string& root) {
  std::string path = spec::cat(root, "/.seccomp");
  return sys::open_at(At::cwd(), path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

// Only ours, and nobody else's to write to.
bool is_trusted(const struct stat& st) {
  return S_ISREG(st.st_mode) && st.st_uid == sys::effective_uid() && (st.st_mode & 022) == 0;
}

std::optional<Program> parse(const std::vector<uint64_t>& words, const std::string& key) {
  std::string_view data = bytes_of(words);
  FileHeader header;
  if (data.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, data.data(), sizeof(header));
  size_t key_end = sizeof(header) + padded(key.size());
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.key_size != key.size() ||
      header.instruction_count == 0 || header.instruction_count > BPF_MAXINSNS ||
      data.size() != key_end + header.instruction_count * sizeof(uint64_t) ||
      data.substr(sizeof(header), key.size()) != key) {
    return std::nullopt;
  }
  if (checksum(header, data.substr(key_end)) != header.checksum) return std::nullopt;
  Program program;
  program.instructions.assign(words.end() - header.instruction_count, words.end());
  program.flags = header.flags;
  program.notify = header.notify != 0;
  return program;
}

// Whatever the path leads to counts only if it is ours and holds exactly this key.
std::optional<Program> load(const std::string& root, const std::string& name,
                            const std::string& key) {
  const std::string path = spec::cat(root, "/.seccomp/", name);
  Fd file = sys::open_at(At::cwd(), path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  struct stat st = {};
  if (!file || sys::stat_fd(file, st) < 0 || !is_trusted(st)) return std::nullopt;
  size_t largest = sizeof(FileHeader) + padded(key.size()) + BPF_MAXINSNS * sizeof(uint64_t);
  size_t size = static_cast<size_t>(st.st_size);
  if (size > largest || size % sizeof(uint64_t) != 0) return std::nullopt;
  std::vector<uint64_t> words(size / sizeof(uint64_t));
  if (pread(file.get(), words.data(), size, 0) != st.st_size) return std::nullopt;
  return parse(words, key);
}

std::string file_bytes(const Program& program, const std::string& key) {
  FileHeader header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.key_size = static_cast<uint32_t>(key.size());
  header.instruction_count = static_cast<uint32_t>(program.instructions.size());
  header.flags = program.flags;
  header.notify = program.notify;
  header.checksum = checksum(header, bytes_of(program.instructions));
  std::string data(reinterpret_cast<const char*>(&header), sizeof(header));
  data += key;
  data.append(padded(key.size()) - key.size(), '\0');
  data += bytes_of(program.instructions);
  return data;
}

// Leftovers of a writer that was killed count like any other file, and go with time.
void make_room(const Fd& directory) {
  std::vector<sys::DirEntry> entries;
  if (sys::list_dir(directory, ".", entries) < 0 || entries.size() < kMaxCachedFilters) return;
  std::vector<std::pair<int64_t, std::string>> by_age;
  for (sys::DirEntry& entry : entries) {
    struct stat st = {};
    if (sys::lstat_at(directory, entry.name.c_str(), st) < 0) continue;  // another one took it
    int64_t made = int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
    by_age.emplace_back(made, std::move(entry.name));
  }
  std::sort(by_age.begin(), by_age.end());
  for (size_t i = 0; i + kMaxCachedFilters <= by_age.size(); ++i) {
    sys::unlink_at(directory, by_age[i].second.c_str());  // failing: one too many, no harm
  }
}

// No failure counts here: the next one compiles again.
void save(const std::string& root, const std::string& name, std::string_view data) {
  std::string path = spec::cat(root, "/.seccomp");
  int r = sys::mkdir_at(At::cwd(), path.c_str(), 0700);
  if (r < 0 && r != -EEXIST) return;
  Fd directory = open_directory(root);
  if (!directory) return;
  make_room(directory);
  std::string fresh = spec::cat(name, ".", getpid());
  Fd file =
      sys::open_at(directory, fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0, 0600);
  if (!file) return;
  r = sys::write_all(file, data);
  if (r == 0) r = sys::rename_at(directory, fresh.c_str(), directory, name.c_str());
  if (r < 0) sys::unlink_at(directory, fresh.c_str());
}

}  // namespace

Program cached_seccomp(const std::string& root, const spec::LinuxSeccomp& profile,
                       plan::Warnings& warnings) {
  const Key key(profile);
  const std::string name = file_name(key.bytes());
  std::optional<Program> kept = load(root, name, key.bytes());
  if (kept) return std::move(*kept);
  size_t warned = warnings.size();
  Program program = plan::seccomp::compile(profile, warnings);
  if (warnings.size() == warned) save(root, name, file_bytes(program, key.bytes()));
  return program;
}

}  // namespace coracle::store
