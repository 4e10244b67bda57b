// What the container calls itself, and its session: names, session, keyring, sysctls.
#include <asm/errno.h>
#include <linux/keyctl.h>

#include "runtime/init/init.h"
#include "runtime/init/open.h"
#include "runtime/init/procfs.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

// A session of its own: the caller's terminal is not the container's, and a Ctrl-C there is the
// caller's affair.
long run(Context& c, const plan::SetSession&) {
  const long r = syscall(__NR_setsid);
  return r < 0 ? fail(c, Call::k_setsid, r) : 0;
}

// A session keyring of its own, so that the caller's keys are not reachable. A new one gives its
// owner no search permission; that is added, so that a later `exec` finds the keyring by its name.
// A kernel without keys (ENOSYS) has no keyring to hide.
long run(Context& c, const plan::Keyring& p) {
  constexpr uint32_t kPossessorAll = 0x3f000000;
  constexpr uint32_t kUserViewReadSearchLink = 0x001b0000;
  const long id = syscall(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, c.str(p.name), 0, 0, 0);
  if (id == -ENOSYS) return 0;
  if (id == -EDQUOT) detail(c).put("quota of keys exceeded, see kernel.keys.maxkeys");
  if (id < 0) return fail(c, Call::k_keyctl, id);
  if (id == 0) return 0;  // the session keyring was this one already
  const long r =
      syscall(__NR_keyctl, KEYCTL_SETPERM, id, kPossessorAll | kUserViewReadSearchLink, 0, 0);
  // EACCES: found by name and another user's; who made it has set the permissions.
  return r < 0 && r != -EACCES ? fail(c, Call::k_keyctl, r, 1) : 0;
}

long run(Context& c, const plan::Hostname& p) {
  const char* name = c.str(p.name);
  const long r = syscall(__NR_sethostname, name, length(name));
  return r < 0 ? fail(c, Call::k_sethostname, r) : 0;
}

long run(Context& c, const plan::Domainname& p) {
  const char* name = c.str(p.name);
  const long r = syscall(__NR_setdomainname, name, length(name));
  return r < 0 ? fail(c, Call::k_setdomainname, r) : 0;
}

static long set_sysctl(Context& c, long proc, const plan::SysctlValue& setting) {
  Line path{c.path, sizeof(c.path)};
  path.put("sys/").put(c.str(setting.key));
  if (path.full) return fail(c, Call::k_open, -ENAMETOOLONG);
  const char* value = c.str(setting.value);
  return write_proc(c, proc, c.path, value, length(value));
}

// Through a whole procfs that was never attached in the container: no mount of the container's can
// stand in the way (CVE-2025-52881), no symlink leads elsewhere.
long run(Context& c, const plan::Sysctl& p) {
  const bool kept = c.procfs >= 0 && c.procfs_is_whole;
  const long proc = kept ? c.procfs : new_procfs(c, false);
  if (proc < 0) return proc;
  long r = 0;
  uint32_t i = 0;
  const auto* settings = c.list<plan::SysctlValue>(p.settings);
  while (r >= 0 && i < p.settings.count) r = set_sysctl(c, proc, settings[i++]);
  if (r < 0) c.extra = i - 1;
  if (!kept) close_fd(proc);
  return r;
}

}  // namespace coracle::init
