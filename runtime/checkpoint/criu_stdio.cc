#include "runtime/checkpoint/criu_stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "spec/error.h"
#include "spec/json.h"
#include "spec/json_write.h"
#include "spec/text.h"

namespace coracle::checkpoint {

using spec::cat;
using spec::Error;

static constexpr char kFile[] = "descriptors.json";

namespace {

// What /proc says of one descriptor of a process; a process that ends meanwhile has none.
struct Descriptor {
  std::string name;   // "pipe:[4711]", "/path", ...
  mode_t access = 0;  // S_IRUSR, S_IWUSR: how it is open (proc_pid_fd(5))
  struct stat file {};
};

bool look_at(pid_t pid, const std::string& number, Descriptor& out) {
  const std::string path = cat("/proc/", pid, "/fd/", number);
  struct stat link;
  if (sys::read_link(sys::At::cwd(), path.c_str(), out.name) < 0) return false;
  if (sys::lstat_at(sys::At::cwd(), path.c_str(), link) < 0) return false;
  if (sys::stat_at(sys::At::cwd(), path.c_str(), out.file) < 0) return false;
  out.access = link.st_mode & (S_IRUSR | S_IWUSR);
  return true;
}

// "pos:\t0\nflags:\t0100002\nmnt_id:\t28\n": the mount, or -1.
int mount_of(pid_t pid, int fd) {
  const std::string path = cat("/proc/", pid, "/fdinfo/", fd);
  std::string text;
  if (sys::read_file(sys::At::cwd(), path.c_str(), text) < 0) return -1;
  const size_t at = text.find("mnt_id:\t");
  int id = -1;
  if (at != text.npos) std::from_chars(text.data() + at + 8, text.data() + text.size(), id);
  return id;
}

std::set<int> mounts_of(pid_t pid) {
  std::set<int> ids;
  std::string text;
  const std::string path = cat("/proc/", pid, "/mountinfo");
  if (int r = sys::read_file(sys::At::cwd(), path.c_str(), text)) throw Error(path, r);
  for (size_t at = 0; at < text.size();) {
    int id = -1;
    std::from_chars(text.data() + at, text.data() + text.size(), id);
    ids.insert(id);
    const size_t end = text.find('\n', at);
    at = end == text.npos ? text.size() : end + 1;
  }
  return ids;
}

std::string hexadecimal(const char* kind, uint64_t first, uint64_t second) {
  char text[64];
  snprintf(text, sizeof(text), "%s[%llx:%llx]", kind, static_cast<unsigned long long>(first),
           static_cast<unsigned long long>(second));
  return text;
}

// The pipe ends that are inside: (inode, how it is open).
using PipeEnds = std::set<std::pair<ino_t, mode_t>>;

PipeEnds pipe_ends(const std::vector<pid_t>& processes) {
  PipeEnds ends;
  for (pid_t pid : processes) {
    std::vector<sys::DirEntry> entries;
    const std::string folder = cat("/proc/", pid, "/fd");
    if (sys::list_dir(sys::At::cwd(), folder.c_str(), entries) < 0) continue;  // it has ended
    for (const sys::DirEntry& entry : entries) {
      Descriptor d;
      if (!look_at(pid, entry.name, d) || !S_ISFIFO(d.file.st_mode)) continue;
      ends.emplace(d.file.st_ino, d.access & S_IRUSR);
      ends.emplace(d.file.st_ino, d.access & S_IWUSR);
    }
  }
  return ends;
}

class Finder {
 public:
  Finder(const std::vector<pid_t>& processes, bool terminals)
      : processes_(processes),
        terminals_(terminals),
        pipes_(pipe_ends(processes)),
        mounts_(processes.empty() ? std::set<int>() : mounts_of(processes.front())) {}

  std::string find(int fd) const {
    std::string plain;
    for (pid_t pid : processes_) {
      Descriptor d;
      if (!look_at(pid, std::to_string(fd), d)) continue;
      std::string entry = entry_of(pid, fd, d);
      if (!entry.empty()) return entry;
      if (plain.empty() && !is_reconnected(d.name)) plain = d.name;
    }
    return plain;
  }

 private:
  // "" for one that stays inside.
  std::string entry_of(pid_t pid, int fd, const Descriptor& d) const {
    if (d.name.starts_with("pipe:["))
      return pipes_.count({d.file.st_ino, fd == 0 ? S_IWUSR : S_IRUSR}) == 0 ? d.name : "";
    const bool is_file = S_ISREG(d.file.st_mode) || S_ISFIFO(d.file.st_mode);
    if (!is_file && !S_ISCHR(d.file.st_mode)) return "";
    const int mount = mount_of(pid, fd);
    if (mount < 0 || mounts_.count(mount) != 0) return "";
    if (is_file || is_memory_device(d.file.st_rdev))
      return hexadecimal("file", static_cast<uint64_t>(mount), d.file.st_ino);
    return terminals_ ? hexadecimal("tty", d.file.st_rdev, d.file.st_dev) : "";
  }
  static bool is_memory_device(dev_t device) { return device >> 8 == 1; }  // null, zero, ...

  const std::vector<pid_t>& processes_;
  const bool terminals_;
  const PipeEnds pipes_;
  const std::set<int> mounts_;
};

}  // namespace

Stdio stdio_of(const std::vector<pid_t>& processes, bool terminals) {
  const Finder finder(processes, terminals);
  return {finder.find(0), finder.find(1), finder.find(2)};
}

std::vector<std::string> externals_of(const Stdio& stdio) {
  std::vector<std::string> list;
  for (const std::string& entry : stdio)
    if (is_reconnected(entry) && !entry.starts_with("pipe:")) list.push_back(entry);
  return list;
}

bool is_reconnected(const std::string& entry) {
  return entry.starts_with("pipe:[") || entry.starts_with("file[") || entry.starts_with("tty[");
}

void write_stdio(const sys::Fd& images, const Stdio& stdio) {
  spec::JsonWriter json(spec::JsonStyle::kCompact);
  const std::string text = json.array(stdio).take() + "\n";
  const sys::Fd file =
      sys::open_at(images, kFile, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, RESOLVE_BENEATH, 0600);
  const int r = file ? sys::write_all(file, text) : -file.error();
  if (r < 0) throw Error(cat(kFile, " in the image directory"), r);
}

Stdio read_stdio(const sys::Fd& images) {
  constexpr size_t kMost = 64 << 10;
  std::string text;
  const sys::Fd file =
      sys::open_at(images, kFile, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, RESOLVE_BENEATH);
  if (file.error() == ENOENT) return {};
  const int r = file ? sys::read_all(file, text, kMost) : -file.error();
  if (r < 0) throw Error(cat(kFile, " in the image directory"), r);
  const auto list = spec::read_json<std::vector<std::string>>(std::move(text), kFile);
  Stdio stdio;
  for (size_t i = 0; i < std::min(list.size(), stdio.size()); ++i) stdio[i] = list[i];
  return stdio;
}

}  // namespace coracle::checkpoint
