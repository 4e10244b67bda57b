#pragma once
// The five capability sets of a process as bit masks (bit n is capability number n).
//
// config.md, "Linux Process": what "cannot be mapped to a relevant kernel interface, or cannot be
// granted otherwise MUST be logged as a warning", and "Runtimes SHOULD NOT fail". So names the
// kernel does not know are left out, and so are those that the kernel would refuse because of the
// other sets (capabilities(7)): effective ones that are not permitted, ambient ones that are not
// both permitted and inheritable. What the running kernel or the caller lacks is for the planner
// to take off.

#include <cstdint>
#include <string>
#include <vector>

#include "spec/spec.h"

namespace coracle::spec {

struct CapabilitySets {
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t inheritable = 0;
  uint64_t permitted = 0;
  uint64_t ambient = 0;
};

// One warning for each unknown name and for what each set leaves out, with its JSON path. `root`:
// the process is of uid 0, whose next exec gives it what is ambient anyway (capabilities(7)); no
// warning then, for runc and crun write such configurations.
CapabilitySets resolve_capabilities(const LinuxCapabilities& capabilities, bool root,
                                    std::vector<std::string>& warnings);

}  // namespace coracle::spec
