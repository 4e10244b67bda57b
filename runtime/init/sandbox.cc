// What the program may not do: no new privileges, seccomp.
#include <asm/errno.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "runtime/init/descriptor.h"
#include "runtime/init/init.h"
#include "runtime/init/syscall.h"
#include "runtime/init/text.h"

namespace coracle::init {

using plan::Call;

long run(Context& c, const plan::NoNewPrivileges&) {
  const long r = syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return r < 0 ? fail(c, Call::k_prctl, r) : 0;
}

// From here on every call of the init is judged by the filter too. With `notify` one listener is
// made; it is the parent's, who hands it to the agent.
long run(Context& c, const plan::SeccompFilter& p) {
  if (p.program.count > BPF_MAXINSNS) return fail(c, Call::k_seccomp, -E2BIG);
  const struct sock_fprog program {
    static_cast<unsigned short>(p.program.count),
        const_cast<sock_filter*>(c.list<sock_filter>(p.program))
  };
  uint32_t flags = p.flags;
  if (p.notify != 0) flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  const long r = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (r < 0) return fail(c, Call::k_seccomp, r);
  return p.notify != 0 ? hand_over(c, &p, r) : 0;
}

}  // namespace coracle::init
