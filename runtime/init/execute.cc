// The program: found while the container is created, so that a missing one is an error of `create`,
// and executed at the end.
#include <asm/errno.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>

#include "runtime/init/home.h"
#include "runtime/init/init.h"
#include "runtime/init/open.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

// Where there is no PATH at all (execvp leaves that case to the implementation).
static constexpr char kStandardPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// By the effective ids and capabilities, which are those that execve goes by. A seccomp filter
// older than faccessat2 (Linux 5.8) answers EPERM or ENOSYS: then the older call, whose real ids
// are the same after SetIds.
static long may_execute(const char* path) {
  const long r = syscall(__NR_faccessat2, AT_FDCWD, path, 1, AT_EACCESS);
  if (r != -ENOSYS && r != -EPERM) return r;
  return syscall(__NR_faccessat, AT_FDCWD, path, 1);
}

// A mount with noexec refuses everybody, whatever the file's mode says.
static bool is_on_noexec(const char* path) {
  constexpr long kNoExec = 8;  // ST_NOEXEC (statvfs(3); in no kernel header)
  struct statfs fs {};
  return syscall(__NR_statfs, path, &fs) == 0 && (fs.f_flags & kNoExec) != 0;
}

// 0, or why this path is not a program: ENOENT, EISDIR, EACCES, ...; `noexec` if that is why.
static long check_program(const char* path, bool& noexec) {
  struct stat st {};
  const long r = syscall(__NR_newfstatat, AT_FDCWD, path, &st, 0);
  if (r < 0) return r;
  if (is_directory(st.st_mode)) return -EISDIR;
  if (!is_regular(st.st_mode)) return -EACCES;
  const long allowed = may_execute(path);
  noexec = noexec || (allowed == -EACCES && is_on_noexec(path));
  return allowed;
}

// One directory of the search path and the name. An empty directory is the working directory.
static long join(Context& c, const char* dir, size_t size, const char* name) {
  Line path{c.path, sizeof(c.path)};
  if (size == 0) path.put('.');
  path.put(dir, size).put('/').put(name);
  return path.full ? -ENAMETOOLONG : 0;
}

// As execvp: the first that can be executed; else EACCES if there was one that could not.
static long search_path(Context& c, const char* search, const char* name, bool& noexec) {
  long result = -ENOENT;
  for (const char* dir = search;; ++search) {
    if (*search != ':' && *search != '\0') continue;
    long r = join(c, dir, static_cast<size_t>(search - dir), name);
    if (r == 0) r = check_program(c.path, noexec);
    if (r == 0) return 0;
    if (r == -EACCES || r == -EISDIR) result = -EACCES;
    if (*search == '\0') return result;
    dir = search + 1;
  }
}

static bool has_slash(const char* name) {
  while (*name != '\0' && *name != '/') ++name;
  return *name == '/';
}

long run(Context& c, const plan::FindHome& p) {
  constexpr size_t kPrefix = 5;  // "HOME="
  find_home(c, p.uid, reinterpret_cast<char*>(c.base + p.home.off + kPrefix), p.room);
  return 0;
}

long run(Context& c, const plan::ResolveProgram& p) {
  const char* name = c.str(p.name);
  const char* search = c.str(p.search);
  bool noexec = false;
  long r = -ENOENT;
  if (has_slash(name)) {
    r = check_program(name, noexec);
    c.program = name;
  } else if (*name != '\0') {
    r = search_path(c, search != nullptr ? search : kStandardPath, name, noexec);
    c.program = c.path;
  }
  if (r == 0) return 0;
  c.program = nullptr;
  detail(c).put(name);
  return fail(c, Call::k_access, r, noexec ? plan::kProgramOnNoexec : 0);
}

// Offsets become pointers, once: no address of ours is as low as the size of the plan.
static const char* const* pointers(Context& c, plan::List list) {
  auto* v = reinterpret_cast<uint64_t*>(c.base + list.off);
  for (uint32_t i = 0; i < list.count; ++i)
    if (v[i] != 0 && v[i] < c.header().size) v[i] += reinterpret_cast<uintptr_t>(c.base);
  return reinterpret_cast<const char* const*>(v);
}

long run(Context& c, const plan::Execute& p) {
  if (p.argv.count < 2) {
    detail(c).put("process is not set");
    return fail(c, Call::k_execve, -EINVAL);
  }
  const char* const* argv = pointers(c, p.argv);
  const char* const* envp = pointers(c, p.envp);
  if (p.program != plan::kNoSlot) {
    const long r = syscall(__NR_execveat, c.fd(p.program), "", argv, envp, AT_EMPTY_PATH);
    if (r != -ENOENT) {  // a script, whose interpreter could not open it (execveat(2), BUGS)
      detail(c).put(c.str(p.path));
      return fail(c, Call::k_execve, r);
    }
  }
  const char* given = p.path.off != 0 ? c.str(p.path) : argv[0];
  const char* program = c.program != nullptr ? c.program : given;
  const long r = syscall(__NR_execve, program, argv, envp);
  detail(c).put(program);
  return fail(c, Call::k_execve, r);
}

}  // namespace coracle::init
