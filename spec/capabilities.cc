#include "spec/capabilities.h"

#include "spec/ids.h"
#include "spec/text.h"

namespace coracle::spec {
namespace {

uint64_t mask_of(const Strings& names, std::string_view set, std::vector<std::string>& warnings) {
  uint64_t mask = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (auto number = capability_number(names[i])) {
      mask |= uint64_t{1} << *number;
    } else {
      warnings.push_back(cat("process.capabilities.", set, "[", i, "]: unknown capability ",
                             quoted(names[i]), " is ignored"));
    }
  }
  return mask;
}

// `wanted` without what is not in `granted`; one warning for all that is not.
uint64_t limit(uint64_t wanted, uint64_t granted, std::string_view set, std::string_view why,
               std::vector<std::string>* warnings) {
  std::string names;
  bool many = false;
  for (int i = 0; i < kCapabilityCount; ++i) {
    if (((wanted & ~granted) >> i & 1) == 0) continue;
    many = !names.empty();
    append(names, many ? ", " : "", capability_name(i));
  }
  if (!names.empty() && warnings) {
    warnings->push_back(cat("process.capabilities.", set, ": can't raise ", set,
                            many ? " capabilities " : " capability ", names, ": not ", why));
  }
  return wanted & granted;
}

}  // namespace

CapabilitySets resolve_capabilities(const LinuxCapabilities& capabilities, bool root,
                                    std::vector<std::string>& warnings) {
  CapabilitySets sets;
  sets.bounding = mask_of(capabilities.bounding, "bounding", warnings);
  sets.inheritable = mask_of(capabilities.inheritable, "inheritable", warnings);
  sets.permitted = mask_of(capabilities.permitted, "permitted", warnings);
  uint64_t effective = mask_of(capabilities.effective, "effective", warnings);
  uint64_t ambient = mask_of(capabilities.ambient, "ambient", warnings);
  sets.effective = limit(effective, sets.permitted, "effective", "in permitted", &warnings);
  sets.ambient = limit(ambient, sets.permitted & sets.inheritable, "ambient",
                       "in both permitted and inheritable", root ? nullptr : &warnings);
  return sets;
}

}  // namespace coracle::spec
