// One executable in several roles; the name it is called by says which. What goes wrong in any of
// them is caught here, and only here, and reported once.
#include "shim/main.h"

#include <malloc.h>

#include <exception>
#include <string_view>

#include "runtime/commands/command.h"
#include "runtime/log.h"
#include "runtime/sys/signals.h"
#include "runtime/sys/stdio.h"
#include "spec/error.h"

namespace {

struct Role {
  std::string_view name;
  int (*run)(int argc, char** argv, int& failure_status);
};

// A name that is not in the table is the first role: whoever renames the runtime means it.
constexpr Role kRoles[] = {
    {"coracle", coracle::commands::run},
    {"containerd-shim-coracle-v2", coracle::shim::run},
};

const Role& role_of(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
  for (const Role& role : kRoles) {
    if (role.name == name) return role;
  }
  return kRoles[0];
}

}  // namespace

// One brk(2) for all that a command allocates, not one for every 128 KiB.
static void grow_heap_at_once() {
#ifdef __GLIBC__
  mallopt(M_TOP_PAD, 512 << 10);
#endif
}

int main(int argc, char** argv) {
  grow_heap_at_once();
  int failure_status = 1;
  try {
    if (int r = coracle::sys::own_signals()) throw coracle::spec::Error("signals", r);
    if (int r = coracle::sys::fill_standard_fds()) throw coracle::spec::Error("open /dev/null", r);
    return role_of(argc > 0 ? argv[0] : "").run(argc, argv, failure_status);
  } catch (const std::exception& error) {  // spec::Error, and want of memory
    coracle::log::failure(error.what());
    return failure_status;
  }
}
