// The working directory: below the container's root, and nowhere else (CVE-2024-21626).
#include <asm/errno.h>
#include <linux/fcntl.h>

#include "runtime/init/init.h"
#include "runtime/init/open.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

static long open_dir(long root, const char* path) {
  return open_at(root, path, O_PATH | O_DIRECTORY, kInRoot);
}

// mkdir -p: each prefix is looked up from the root again, so that a symlink in it means what it
// means inside the container; only a missing last component of a prefix is made.
static long make_path(Context& c, long root, const char* path) {
  Line prefix{c.path, sizeof(c.path)};
  long parent = open_dir(root, "/");
  while (parent >= 0 && *path != '\0') {
    while (*path == '/') ++path;
    const char* name = path;
    while (*path != '\0' && *path != '/') ++path;
    if (name == path) break;
    prefix.put('/').put(name, static_cast<size_t>(path - name));
    long next = prefix.full ? -ENAMETOOLONG : open_dir(root, c.path);
    if (next == -ENOENT) {
      const char* last = c.path + prefix.used - (path - name);
      const long made = syscall(__NR_mkdirat, parent, last, 0755);
      next = made < 0 && made != -EEXIST ? made : open_dir(root, c.path);
    }
    close_fd(parent);
    parent = next;
  }
  return parent;
}

// The kernel itself says whether the directory is below our root: getcwd(2) puts "(unreachable)"
// in front of one that is not, and says ENOENT for one that is deleted.
static long verify_inside(Context& c) {
  const long r = syscall(__NR_getcwd, c.path, sizeof(c.path));
  if (r < 0) return fail(c, Call::k_getcwd, r);
  if (c.path[0] == '/') return 0;
  detail(c).put("outside of the container's root");
  return fail(c, Call::k_getcwd, -EACCES);
}

// The root is where every walk starts: still being there means that the first step got nowhere (or
// that the directory is the root, where a second chdir does no harm).
static bool still_at_root(Context& c) {
  return syscall(__NR_getcwd, c.path, sizeof(c.path)) == 2 && c.path[0] == '/';
}

static long enter(Context& c, const plan::WorkDir& p, long root) {
  const char* path = c.str(p.path);
  long dir = open_dir(root, path);
  if (dir == -ENOENT && (p.flags & plan::kWorkDirCreate) != 0) dir = make_path(c, root, path);
  if ((p.flags & plan::kWorkDirOnlyMake) != 0) {
    close_fd(dir);
    return 0;
  }
  long r = dir < 0 ? dir : syscall(__NR_fchdir, dir);
  close_fd(dir);
  if (r == -EACCES && (p.flags & plan::kWorkDirFirst) != 0) return 0;
  return r < 0 ? fail(c, Call::k_chdir, r) : verify_inside(c);
}

long run(Context& c, const plan::WorkDir& p) {
  if ((p.flags & plan::kWorkDirAgain) != 0 && !still_at_root(c)) return 0;
  const RootDir root(c);
  return root.fd() < 0 ? fail(c, Call::k_open, root.fd()) : enter(c, p, root.fd());
}

}  // namespace coracle::init
