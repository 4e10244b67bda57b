#include "hooks/container.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "runtime/sys/file.h"
#include "runtime/sys/metadata.h"
#include "runtime/sys/process.h"
#include "spec/error.h"
#include "spec/text.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace coracle::hooks {
namespace {

using spec::cat;
using spec::Error;

constexpr int kMaxInterpreters = 4;    // execve(2), "Interpreter scripts"
constexpr size_t kScriptHeader = 256;  // bytes the kernel looks at (BINPRM_BUF_SIZE, Linux 5.1)

struct Type {
  const char* name;  // below /proc/PID/ns
  uint64_t flag;
};
constexpr Type kTypes[] = {{"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},
                           {"cgroup", CLONE_NEWCGROUP}, {"uts", CLONE_NEWUTS},
                           {"ipc", CLONE_NEWIPC},       {"net", CLONE_NEWNET},
                           {"pid", CLONE_NEWPID},       {"time", CLONE_NEWTIME}};

struct stat namespace_file(const std::string& process, const char* name) {
  std::string path = cat("/proc/", process, "/ns/", name);
  struct stat st = {};
  int r = sys::stat_at(sys::At::cwd(), path.c_str(), st);
  // Not built into this kernel: then it is one for all.
  if (r < 0 && r != -ENOENT) throw Error(path, r);
  return st;
}

uint64_t differing_namespaces(pid_t pid) {
  uint64_t flags = 0;
  for (const Type& type : kTypes) {
    struct stat ours = namespace_file("self", type.name);
    struct stat theirs = namespace_file(cat(pid), type.name);
    if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) flags |= type.flag;
  }
  return flags;
}

// "root" or "cwd", which before the pivot is the container's root, as its init sees it.
sys::Fd directory_of(pid_t pid, const char* name) {
  std::string path = cat("/proc/", pid, "/", name);
  sys::Fd directory = sys::open_at(sys::At::cwd(), path.c_str(), O_PATH | O_DIRECTORY);
  if (!directory) throw Error(path, directory.error());
  return directory;
}

// A file of the container by its path there, never through a link of procfs.
sys::Fd open_inside(const sys::Fd& root, const std::string& path, int flags) {
  return sys::open_at(root, path.c_str(), flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

struct Interpreter {
  std::string path;      // "" if the file is no script
  std::string argument;  // the rest of the line, or ""
};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// The first line of a script, read as the kernel does (fs/binfmt_script.c).
Interpreter parse_header(std::string_view header) {
  if (header.substr(0, 2) != "#!") return {};
  std::string_view line = header.substr(2, header.find('\n') - 2);
  line = line.substr(0, line.find('\0'));
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  size_t end = line.find_first_of(" \t");
  bool cut = end == line.npos && header.size() == kScriptHeader && header.find('\n') == header.npos;
  if (line.empty() || cut) throw Error("its interpreter cannot be read", ENOEXEC);
  Interpreter found;
  found.path = line.substr(0, end);
  if (end == line.npos) return found;
  line.remove_prefix(end);
  while (is_blank(line.front())) line.remove_prefix(1);
  found.argument = line;
  return found;
}

Interpreter interpreter_of(const sys::Fd& root, const std::string& path) {
  sys::Fd file = open_inside(root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (!file) return {};  // executable but not readable: no script could run either
  char header[kScriptHeader];
  ssize_t got = read(file.get(), header, sizeof(header));
  return got > 0 ? parse_header({header, static_cast<size_t>(got)}) : Interpreter{};
}

}  // namespace

Entry::Entry(const Container& container, bool inside)
    : inside_(inside), root_(directory_of(container.pid, "root")) {
  join_.pidfd = container.pidfd;
  join_.namespaces = differing_namespaces(container.pid);
  join_.root = &root_;
  if (!inside) directory_ = directory_of(container.pid, "cwd");
  // What was opened through /proc is of this process only if it still lives.
  if (sys::pidfd_wait(*container.pidfd, 0) != 0) throw Error("the container's process has ended");
  if (inside) {
    join_.cgroup = container.cgroup;
    join_.confine = container.confine;
  } else {
    join_.namespaces &= ~uint64_t{CLONE_NEWPID};
  }
}

void Entry::prepare(Command& command) {
  command.join = &join_;
  if (inside_) {
    find_inside(command);
  } else {
    // The runtime's own file, opened here; its interpreter, if it is a script, by path: before the
    // pivot the container's namespaces still show the host's files.
    executable_ = sys::open_at(sys::At::cwd(), command.path.c_str(), O_PATH);
    if (!executable_) throw Error("open", executable_.error());
    command.or_path = true;
    command.open_directory = &directory_;
  }
  command.executable = &executable_;
}

// The image may contain "#!/proc/self/exe", which to the kernel is us until the exec is done: our
// binary would run inside, and could be overwritten from there (CVE-2019-5736). So the program and
// its interpreters are found here, magic links refused, and the kernel gets no script: it refuses
// one that is close-on-exec.
void Entry::find_inside(Command& command) {
  std::string path = command.path;
  for (int depth = 0; depth <= kMaxInterpreters; ++depth) {
    executable_ = open_inside(root_, path, O_PATH);
    if (!executable_) throw Error(cat("open ", path), executable_.error());
    struct stat st = {};
    int r = sys::stat_fd(executable_, st);
    if (r < 0) throw Error(cat("stat ", path), r);
    if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111)) throw Error(path, EACCES);
    Interpreter found = interpreter_of(root_, path);
    if (found.path.empty()) return;
    command.args[0] = path;
    if (!found.argument.empty()) command.args.insert(command.args.begin(), found.argument);
    command.args.insert(command.args.begin(), found.path);
    path = found.path;
  }
  throw Error(command.path, ELOOP);
}

}  // namespace coracle::hooks
