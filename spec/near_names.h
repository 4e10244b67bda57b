#pragma once
// Names that somebody may have meant.

#include <string>
#include <string_view>

#include "spec/spec.h"

namespace coracle::spec {

// Whether two different names differ by no more than case and one slip: a letter too many, too
// few, another one, or two that have changed places. Names of less than three letters are near
// only to those that differ by case.
bool is_near(std::string_view a, std::string_view b);
bool differ_by_case(std::string_view a, std::string_view b);

// "; "rbnd" is neither" if one of a mount's options is nearly bind or rbind, else "".
std::string bind_hint(const Strings& options);

}  // namespace coracle::spec
