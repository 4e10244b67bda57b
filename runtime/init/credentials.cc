// Who the program is: groups, ids, capabilities.
#include <asm/errno.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/prctl.h>

#include "runtime/init/init.h"
#include "runtime/init/syscall.h"

namespace coracle::init {

using plan::Call;

namespace {

struct Capability {  // capget(2), version 3: two 32-bit halves
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};

  uint64_t permitted() const {
    return data[0].permitted | static_cast<uint64_t>(data[1].permitted) << 32;
  }
};

// Raises what is in `ambient`; the kernel wants each to be permitted and inheritable already
// (capabilities(7)), which the capset before has seen to.
long set_ambient(Context& c, uint64_t ambient) {
  long r = syscall(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned cap = 0; r >= 0 && cap < 64; ++cap)
    if ((ambient >> cap & 1) != 0)
      r = syscall(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
  return r < 0 ? fail(c, Call::k_prctl, r) : 0;
}

long first_of(uint64_t set) { return __builtin_ctzll(set); }

}  // namespace

// Past the last capability that this kernel knows the call says EINVAL. One that was not in the
// bounding set is as good as dropped, even to who may not drop.
long run(Context& c, const plan::BoundingSet& p) {
  for (unsigned cap = 0; cap < 64; ++cap) {
    if ((p.keep >> cap & 1) != 0) continue;
    const long r = syscall(__NR_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (r == -EINVAL) break;
    if (r < 0 && syscall(__NR_prctl, PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
      return fail(c, Call::k_prctl, r, cap);
  }
  return 0;
}

long run(Context& c, const plan::Groups& p) {
  const long r = syscall(__NR_setgroups, p.gids.count, c.list<uint32_t>(p.gids));
  if (r == -EPERM && (p.flags & plan::kGroupsMayBeDenied) != 0) return 0;
  return r < 0 ? fail(c, Call::k_setgroups, r) : 0;
}

// The permitted set outlives the change of user (keepcaps); Capabilities then sets what is to stay,
// and execve clears the flag. A change of ids clears the parent-death signal (prctl(2)), which
// guards the init until the parent has committed.
long run(Context& c, const plan::SetIds& p) {
  long r = syscall(__NR_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (r < 0) return fail(c, Call::k_prctl, r);
  r = syscall(__NR_setresgid, p.gid, p.gid, p.gid);
  if (r < 0) return fail(c, Call::k_setresgid, r);
  r = syscall(__NR_setresuid, p.uid, p.uid, p.uid);
  if (r < 0) return fail(c, Call::k_setresuid, r);
  r = syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  return r < 0 ? fail(c, Call::k_prctl, r) : 0;
}

long run(Context&, const plan::Umask& p) {
  ignore(syscall(__NR_umask, p.mask));  // cannot fail; returns the old mask
  return 0;
}

static long set_sets(Context& c, uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  Capability wanted;
  for (int half = 0; half < 2; ++half) {
    wanted.data[half].effective = static_cast<uint32_t>(effective >> (32 * half));
    wanted.data[half].permitted = static_cast<uint32_t>(permitted >> (32 * half));
    wanted.data[half].inheritable = static_cast<uint32_t>(inheritable >> (32 * half));
  }
  const long r = syscall(__NR_capset, &wanted.header, wanted.data);
  return r < 0 ? fail(c, Call::k_capset, r) : 0;
}

// Exactly the sets of the plan, as far as they are held. Inheritable capabilities are set as asked,
// never by habit (CVE-2022-29162).
long run(Context& c, const plan::Capabilities& p) {
  const bool final = (p.flags & plan::kCapabilitiesFinal) != 0;
  if (c.held == 0) {
    Capability held;
    const long r = syscall(__NR_capget, &held.header, held.data);
    if (r < 0) return fail(c, Call::k_capset, r);
    c.held = held.permitted();
  }
  if ((p.flags & plan::kCapabilitiesCheck) != 0) {
    const uint64_t missing = p.permitted & ~c.held;
    if (missing == 0) return 0;
    return fail(c, Call::k_capset, -EPERM, static_cast<uint32_t>(first_of(missing)));
  }
  const uint64_t permitted = p.permitted & c.held, inheritable = p.inheritable & c.held;
  const uint64_t effective = p.effective & permitted;
  if (final) return set_sets(c, effective, permitted, inheritable);
  const bool keep = (p.flags & plan::kCapabilitiesKeepAdmin) != 0;
  const uint64_t admin = keep ? c.held & (uint64_t{1} << CAP_SYS_ADMIN) : 0;
  const long r = set_sets(c, effective | admin, permitted | admin, inheritable);
  // capset(2) has taken from the ambient set what is not inheritable.
  if (r < 0 || inheritable == 0) return r;
  return set_ambient(c, p.ambient & permitted & inheritable);
}

}  // namespace coracle::init
