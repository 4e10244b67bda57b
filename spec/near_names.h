#pragma once
// Names that somebody may have meant.

#include <string_view>

namespace coracle::spec {

// Whether two different names differ by no more than case and one slip: a letter too many, too
// few, another one, or two that have changed places. Names of less than three letters are near
// only to those that differ by case.
bool is_near(std::string_view a, std::string_view b);
bool differ_by_case(std::string_view a, std::string_view b);

}  // namespace coracle::spec
